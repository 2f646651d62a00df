"""What watching found, for Prometheus: read from the database beside the requests, and seldom."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelyard.rollout.routes import RouteTable
from modelyard.spec.monitor import LEVELS
from modelyard.store.database import Store
from modelyard.store.figures import (
    AlertCount,
    DriftFigure,
    PerformanceFigure,
    RetrainingCount,
    Versions,
)
from serving.http.problems import Refusal

KEPT_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 1.0
MOST_COLUMNS: Final = 50
"""So many columns a window have figures of their own, the most drifted first."""
KINDS: Final = ("drift", "performance", "estimate")
STATUSES: Final = ("asked", "running", "done", "failed")
VERSION: Final = ("model", "version")
WINDOW: Final = (*VERSION, "window")
COLUMN: Final = (*WINDOW, "column")
METRIC: Final = (*WINDOW, "output", "metric", "estimated")
log = logging.getLogger(__name__)


class Ask(Protocol):
    """Asks the database in a thread; raises Refusal while it does not answer."""

    def __call__[T](self, query: Callable[[Store], T]) -> Awaitable[T]:
        """Return what the query returns."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What was last read; `at` is when."""

    at: datetime
    served: Versions
    alerts: Sequence[AlertCount]
    drift: Sequence[DriftFigure]
    performance: Sequence[PerformanceFigure]
    predicted: Mapping[tuple[str, int], datetime]
    profiled: Mapping[tuple[str, int], datetime]
    retrainings: Sequence[RetrainingCount]
    undelivered: tuple[int, int]


def read_watched(
    store: Store, served: Versions, at: datetime, profiles: Path | None = None
) -> Known:
    """Read all of it; `profiles` is the folder of live profiles."""
    models = list(served)
    return Known(
        at=at,
        served=served,
        alerts=store.open_alerts(models),
        drift=store.last_drift(served, MOST_COLUMNS),
        performance=store.last_performance(served),
        predicted=store.last_predictions(served),
        profiled=_profiled(profiles, served),
        retrainings=store.count_retrainings(models),
        undelivered=store.undelivered(),
    )


class WatchedFigures(Collector):
    """Writes what was last read; a scrape that finds it old lets it be read again.

    A scrape waits for that `WAIT_SECONDS` at most, and nothing else ever does.
    """

    def __init__(
        self, ask: Ask, home: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._profiles = None if home is None else home / "profiles"
        self._clock = clock
        self._known: Known | None = None
        self._up = False
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def refresh(self, table: RouteTable) -> None:
        """Read again what is older than `KEPT_SECONDS`; one reading at a time."""
        if self._reading is None and self._clock() - self._read_at >= KEPT_SECONDS:
            self._reading = asyncio.create_task(self._read(table))
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=WAIT_SECONDS)

    async def _read(self, table: RouteTable) -> None:
        served = {
            name: [route.version for route in routes] for name, routes in table.models.items()
        }
        query = partial(read_watched, served=served, at=datetime.now(UTC), profiles=self._profiles)
        try:
            self._known = await self._ask(query)
            self._up = True
        except Refusal:
            self._up = False
        except Exception:
            # A scrape must still tell the rest.
            log.exception("what watching found cannot be read")
            self._up = False
        finally:
            self._read_at = self._clock()
            self._reading = None

    def collect(self) -> Iterable[Metric]:
        """Write the families; without a database only that there is none."""
        up = "Whether the last reading of the database succeeded: 1 or 0."
        yield GaugeMetricFamily("modelyard_database_up", up, float(self._up))
        known = self._known
        if known is not None:
            read = "When these figures were read."
            name = "modelyard_database_read_timestamp_seconds"
            yield GaugeMetricFamily(name, read, known.at.timestamp())
            yield from _alerts(known)
            yield from _drift(known)
            yield from _performance(known)
            yield from _lags(known)
            yield from _retrainings(known)


def _alerts(known: Known) -> Iterator[Metric]:
    counted = {(one.model, one.kind, one.level): one for one in known.alerts}
    names = ("model", "kind", "level")
    opened = _gauge("alerts_open", "Open alerts.", names)
    unseen = _gauge("alerts_unacknowledged", "Open alerts that nobody acknowledged.", names)
    for model in known.served:
        for kind in KINDS:
            for level in LEVELS:
                one = counted.get((model, kind, level))
                opened.add_metric((model, kind, level), one.number if one else 0)
                unseen.add_metric((model, kind, level), one.unseen if one else 0)
    waiting, failed = known.undelivered
    yield from (opened, unseen)
    yield _gauge("alert_deliveries_waiting", "Changes of alerts to be delivered.", (), waiting)
    words = "Those among them whose delivery failed before."
    yield _gauge("alert_deliveries_failing", words, (), failed)


def _drift(known: Known) -> Iterator[Metric]:
    effect = _gauge("drift_effect", "How much a column differs from the reference.", COLUMN)
    drifted = _gauge("drift_detected", "Whether that is drift: 1 or 0.", COLUMN)
    count = _gauge("drift_columns", "Columns that drifted, of those that are shown.", WINDOW)
    at = _gauge("drift_checked_timestamp_seconds", "When a window was last compared.", WINDOW)
    for one in known.drift:
        window = (one.model, str(one.version), one.window)
        for column, size, is_drift in {entry[0]: entry for entry in reversed(one.columns)}.values():
            effect.add_metric((*window, column), size)
            drifted.add_metric((*window, column), float(is_drift))
        count.add_metric(window, sum(is_drift for *_, is_drift in one.columns))
        at.add_metric(window, one.at.timestamp())
    yield from (effect, drifted, count, at)


def _performance(known: Known) -> Iterator[Metric]:
    value = _gauge("performance", "A metric of the answers.", METRIC)
    baseline = _gauge("performance_baseline", "The same at the evaluation.", METRIC)
    worse = _gauge("performance_degradation", "By what share it is worse than that.", METRIC)
    share = _gauge("labelled_share", "Share of a window's predictions with labels.", WINDOW)
    at = _gauge("performance_checked_timestamp_seconds", "When that was last computed.", WINDOW)
    for window, one in _by_window(known.performance):
        share.add_metric(window, one.labelled / one.rows if one.rows else 0.0)
        at.add_metric(window, one.at.timestamp())
    written: set[tuple[str, ...]] = set()
    for one in known.performance:
        for metric in one.metrics:
            labels = _labels(one, metric)
            if labels in written:
                continue
            written.add(labels)
            value.add_metric(labels, metric["value"])
            for family, name in ((baseline, "baseline"), (worse, "degradation")):
                if metric.get(name) is not None:
                    family.add_metric(labels, metric[name])
    yield from (value, baseline, worse, share, at)


def _by_window(
    figures: Iterable[PerformanceFigure],
) -> Iterable[tuple[tuple[str, str, str], PerformanceFigure]]:
    """One look a window: where labels and estimates were looked at apart, the one with labels."""
    found: dict[tuple[str, str, str], PerformanceFigure] = {}
    for one in figures:
        key = (one.model, str(one.version), one.window)
        if key not in found or one.labelled > found[key].labelled:
            found[key] = one
    return found.items()


def _labels(one: PerformanceFigure, metric: Mapping[str, object]) -> tuple[str, ...]:
    estimated = "true" if metric.get("estimated") else "false"
    named = (str(metric["output"]), str(metric["metric"]), estimated)
    return (one.model, str(one.version), one.window, *named)


def _lags(known: Known) -> Iterator[Metric]:
    words = "When a version last answered, as far as that is written."
    answered = _gauge("last_prediction_timestamp_seconds", words, VERSION)
    words = "By how many seconds the live profiles are behind the written predictions."
    lag = _gauge("profile_lag_seconds", words, VERSION)
    for (model, version), at in known.predicted.items():
        labels = (model, str(version))
        answered.add_metric(labels, at.timestamp())
        profiled = known.profiled.get((model, version))
        if profiled is not None:
            lag.add_metric(labels, max(0.0, (at - profiled).total_seconds()))
    yield from (answered, lag)


def _retrainings(known: Known) -> Iterator[Metric]:
    counted = {(one.model, one.status): one.number for one in known.retrainings}
    count = _gauge("retrainings", "Trainings that alerts started.", ("model", "status"))
    for model in known.served:
        for status in STATUSES:
            count.add_metric((model, status), counted.get((model, status), 0))
    words = "When an alert last started a training."
    last = _gauge("retraining_asked_timestamp_seconds", words, ("model",))
    newest: dict[str, float] = {}
    for one in known.retrainings:
        newest[one.model] = max(newest.get(one.model, 0.0), one.last.timestamp())
    for model, at in newest.items():
        last.add_metric((model,), at)
    yield from (count, last)


def _profiled(folder: Path | None, served: Versions) -> dict[tuple[str, int], datetime]:
    """Say when profiles of each version were last written: each writing renames a file in the folder."""
    found = {}
    for model, version in [(name, one) for name, versions in served.items() for one in versions]:
        if folder is not None and (times := _changed(folder / model / str(version))):
            found[model, version] = datetime.fromtimestamp(max(times), UTC)
    return found


def _changed(folder: Path) -> list[float]:
    try:
        below = [entry for entry in folder.iterdir() if entry.is_dir()]
        return [entry.stat().st_mtime for entry in (folder, *below)]
    except OSError:
        return []


def _gauge(
    name: str, words: str, labels: Sequence[str], value: float | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"modelyard_{name}", words, value, labels or None)
