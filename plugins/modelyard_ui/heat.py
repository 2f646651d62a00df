"""Verdicts over time as a strip: a row a column, a cell a comparison, the effect as its shade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelyard.spec.monitor import DriftLevelsSpec
from modelyard.store.monitoring_records import DriftCheck, Verdict

MOST_CHECKS: Final = 48
MOST_COLUMNS: Final = 40
UNTESTED = "none"


@dataclass(frozen=True, slots=True)
class Cell:
    """One verdict: its shade 0 to 4, or none, and what it says."""

    shade: int | None
    drifted: bool
    effect: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """All of it, the oldest comparison first, the most drifted column on top."""

    checks: tuple[DriftCheck, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    left_out: int
    legend: tuple[tuple[int, str], ...]


def strip(newest_first: Sequence[DriftCheck], levels: DriftLevelsSpec) -> Strip:
    """Lay out the comparisons of one version, window and segment."""
    checks = tuple(newest_first[:MOST_CHECKS][::-1])
    found = [{_row_of(one): one for one in check.verdicts} for check in checks]
    names = sorted({name for check in found for name in check}, key=_order(found))
    least = checks[-1].min_effect if checks else 0.1
    rows = tuple(
        (
            name,
            tuple(
                _cell(each.get(name), check, levels)
                for each, check in zip(found, checks, strict=True)
            ),
        )
        for name in names[:MOST_COLUMNS]
    )
    return Strip(checks, rows, max(0, len(names) - MOST_COLUMNS), _legend(least, levels))


def _row_of(verdict: Verdict) -> str:
    return f"{verdict.column} (missing)" if verdict.kind == "missing" else verdict.column


def _order(found: Sequence[dict[str, Verdict]]) -> object:
    """Most often drifted first, then by the newest effect, then by name."""
    drifts: dict[str, int] = {}
    effects: dict[str, float] = {}
    for check in found:
        for name, verdict in check.items():
            drifts[name] = drifts.get(name, 0) + verdict.drifted
            effects[name] = verdict.effect
    return lambda name: (-drifts[name], -effects[name], name)


def _cell(verdict: Verdict | None, check: DriftCheck, levels: DriftLevelsSpec) -> Cell | None:
    if verdict is None:
        return None
    when = f"{check.at:%Y-%m-%d %H:%M}"
    if verdict.test == UNTESTED:
        told = f"{verdict.column}, {when}: not tested{_also(verdict.note)}"
        return Cell(None, drifted=False, effect="-", title=told)
    p = "" if verdict.p_adjusted is None else f", corrected p {verdict.p_adjusted:.2g}"
    judged = "drifted" if verdict.drifted else "no drift"
    return Cell(
        shade_of(verdict.effect, check.min_effect, levels),
        drifted=verdict.drifted,
        effect=f"{verdict.effect:.3f}",
        title=f"{verdict.column}, {when}: {verdict.effect_name} {verdict.effect:.3f}, {judged}{p}",
    )


def shade_of(effect: float, least: float, levels: DriftLevelsSpec) -> int:
    """Return 0 to 4: below half of the least effect, below it, and the three levels."""
    limits = (least / 2, least, levels.critical, levels.immediate)
    return sum(effect >= limit for limit in limits)


def _legend(least: float, levels: DriftLevelsSpec) -> tuple[tuple[int, str], ...]:
    return (
        (0, f"below {least / 2:g}"),
        (1, f"below {least:g}, the least that counts"),
        (2, f"{least:g} and more: warning"),
        (3, f"{levels.critical:g} and more: critical"),
        (4, f"{levels.immediate:g} and more: immediate"),
    )


def _also(note: str | None) -> str:
    return f" ({note})" if note else ""
