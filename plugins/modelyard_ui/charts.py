"""Performance over time as small SVG charts: values, their intervals, the baseline and the levels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from modelyard.spec.monitor import LEVELS, LevelsSpec
from modelyard.store.monitoring_records import MetricVerdict, PerformanceCheck

WIDTH, HEIGHT = 520, 170
LEFT, RIGHT, TOP, BOTTOM = 50, 84, 10, 24
MOST_CHARTS: Final = 6
FEW: Final = 40
NEAR: Final = 11
"""Texts nearer to each other than so many units would overlap."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value; `y`, `high` and `low` are places in the chart."""

    x: float
    y: float
    high: float | None
    low: float | None
    estimated: bool
    level: str | None
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line and its name; `name_y` is where the name has room."""

    name: str
    y: float
    name_y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric of one output."""

    title: str
    summary: str
    points: tuple[Point, ...]
    paths: tuple[tuple[bool, str], ...]
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    first_at: datetime
    last_at: datetime

    @property
    def radius(self) -> float:
        """Of the points: smaller where there are many."""
        return 3 if len(self.points) <= FEW else 1.8


type Seen = tuple[PerformanceCheck, MetricVerdict]


def charts(newest_first: Sequence[PerformanceCheck], levels: LevelsSpec) -> list[Chart]:
    """Draw each metric, the watched ones first."""
    series: dict[tuple[str, str], list[Seen]] = {}
    for check in reversed(newest_first):
        for metric in filter(_finite, check.metrics):
            series.setdefault((metric.output, metric.metric), []).append((check, metric))
    ordered = sorted(series.values(), key=lambda seen: not any(one.watched for _, one in seen))
    return [_chart(seen, levels) for seen in ordered[:MOST_CHARTS]]


def _finite(one: MetricVerdict) -> bool:
    return all(
        math.isfinite(x) for x in (one.value, one.low, one.high, one.baseline) if x is not None
    )


def _chart(seen: Sequence[Seen], levels: LevelsSpec) -> Chart:
    newest = next((one for _, one in reversed(seen) if not one.estimated), seen[-1][1])
    lines = dict(_lines([one for _, one in seen], levels))
    low, high = _range([one for _, one in seen], lines.values())
    first, last = seen[0][0].at, seen[-1][0].at
    span = (last - first).total_seconds()

    def x_of(moment: datetime) -> float:
        part = (moment - first).total_seconds() / span if span else 0.5
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def y_of(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    points = tuple(
        Point(
            x_of(check.at),
            y_of(one.value),
            None if one.high is None else y_of(one.high),
            None if one.low is None else y_of(one.low),
            one.estimated,
            one.level,
            _told(check, one),
        )
        for check, one in seen
    )
    return Chart(
        title=f"{newest.output}: {newest.metric}",
        summary=_summary(newest, len(seen)),
        points=points,
        paths=tuple(_paths(points)),
        lines=_apart({name: y_of(value) for name, value in lines.items()}),
        ticks=tuple((y_of(value), f"{value:.3g}") for value in (low, (low + high) / 2, high)),
        first_at=first,
        last_at=last,
    )


def _lines(seen: Sequence[MetricVerdict], levels: LevelsSpec) -> Iterator[tuple[str, float]]:
    """The baseline, and where each level begins: degradation is a share of the baseline."""
    baseline = next((one.baseline for one in reversed(seen) if one.baseline is not None), None)
    if baseline is None:
        return
    yield "evaluation", baseline
    if any(one.watched for one in seen):
        sign = 1 if _lower_is_better(seen) else -1
        for level in LEVELS:
            yield level, baseline + sign * abs(baseline) * getattr(levels, level)


def _lower_is_better(seen: Sequence[MetricVerdict]) -> bool:
    """Tell it from the checks themselves: whether a higher value was counted as worse."""
    for one in seen:
        if one.baseline is not None and one.degradation and one.value != one.baseline:
            return (one.value > one.baseline) == (one.degradation > 0)
    return False


def _range(seen: Sequence[MetricVerdict], lines: Iterable[float]) -> tuple[float, float]:
    values = [
        value for one in seen for value in (one.value, one.low, one.high) if value is not None
    ]
    values += lines
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _paths(points: Sequence[Point]) -> Iterator[tuple[bool, str]]:
    for estimated in (False, True):
        mine = [point for point in points if point.estimated is estimated]
        if len(mine) > 1:
            yield estimated, " ".join(f"{point.x},{point.y}" for point in mine)


def _apart(places: dict[str, float]) -> tuple[Line, ...]:
    """Let no two names overlap; a name moves down, its line stays."""
    lines: list[Line] = []
    lowest = -float(NEAR)
    for name, y in sorted(places.items(), key=lambda item: item[1]):
        lowest = max(y + 3, lowest + NEAR)
        lines.append(Line(name, y, lowest))
    return tuple(lines)


def _told(check: PerformanceCheck, one: MetricVerdict) -> str:
    kind = "estimated" if one.estimated else f"{check.labelled:,} labels"
    interval = "" if one.low is None or one.high is None else f" ({one.low:.4g} to {one.high:.4g})"
    return f"{check.at:%Y-%m-%d %H:%M}: {one.value:.4g}{interval}, {kind}"


def _summary(one: MetricVerdict, count: int) -> str:
    told = f"{'Estimated at' if one.estimated else 'Now'} {one.value:.4g}"
    if one.baseline is not None:
        told += f", {one.baseline:.4g} at the evaluation"
    if one.degradation is not None:
        worse = "worse" if one.degradation > 0 else "better"
        told += f": {abs(one.degradation):.1%} {worse}"
    return f"{told}; {count:,} {'looks' if count > 1 else 'look'}."
