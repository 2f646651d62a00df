"""Measure a window: the metrics of its labelled predictions, and an estimate for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.performance.confidence import estimate
from modelyard.monitoring.performance.degradation import (
    MIN_BASELINE,
    MIN_ROWS,
    degradation,
    judged,
    levelled,
)
from modelyard.monitoring.performance.known import metrics_of, watched
from modelyard.monitoring.performance.reading import (
    Belongs,
    belonging,
    of_segment,
    read_labelled,
    read_seen,
)
from modelyard.monitoring.performance.samples import (
    Kinds,
    Sample,
    Window,
    kinds_of,
    of_reference,
    positives,
)
from modelyard.monitoring.reference import read_outputs
from modelyard.monitoring.window import Window as WindowName
from modelyard.monitoring.window import span_of
from modelyard.spec.monitor import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import MetricVerdict, PerformanceCheck
from modelyard.store.predictions import Span

if TYPE_CHECKING:
    import pandas as pd

ACCURACY: Final = "accuracy"
# Where more is known than that, what is known is better than what is guessed.
MOSTLY_LABELLED: Final = 0.5
COVARIATE_SHIFT: Final = (
    "estimated from confidence, {how}; wrong where inputs came to mean something else"
)


@dataclass(frozen=True, slots=True)
class _Version:
    """What is known of a version before any window is read."""

    store: Store
    model: str
    version: int
    monitor: MonitorSpec
    kinds: Kinds
    positives: dict[str, str]
    reference: dict[str, Sample]
    segment: str
    belongs: Belongs | None


def measure(  # noqa: PLR0913 - what, against what, from where and how
    model: str,
    version: int,
    *,
    reference_folder: Path,
    store: Store,
    monitor: MonitorSpec,
    window: WindowName,
    run: str | None = None,
    segment: str | None = None,
) -> tuple[PerformanceCheck, ...]:
    """Say how good the answers of a window were; saves nothing.

    The first check is of the labelled predictions, of which `window` counts the last; the second
    estimates the accuracy of all predictions of the window from the model's confidence, unless
    most of them have labels. One that has too few rows, below 30, is left out.

    Args:
        model: The model's name.
        version: The version that answered.
        reference_folder: The version's reference; its signature lies beside the folder.
        store: Where predictions and labels are.
        monitor: What is watched, and from which levels on.
        window: The last N, `all`, or a time span such as `24h`.
        run: The run that asks.
        segment: COLUMN=VALUE of the rows; None or empty for all.

    Raises:
        MonitoringError: `monitor.metrics` names what the model does not have, or the reference
            cannot be read.
        UsageError: `window` or `segment` is written otherwise.
        StoreError: the database cannot be read.
    """
    known = _known(store, model, version, reference_folder, monitor, segment)
    span = span_of(window)
    found: list[PerformanceCheck] = []
    for look in (_by_labels, _by_confidence):
        seen = look(known, span)
        if seen is not None:
            found.append(_check(known, seen, str(window), run))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A window, and what was found in it."""

    window: Window
    rows: int
    labelled: int
    verdicts: Sequence[MetricVerdict]


def _known(  # noqa: PLR0913, PLR0917 - as above
    store: Store,
    model: str,
    version: int,
    folder: Path,
    monitor: MonitorSpec,
    segment: str | None,
) -> _Version:
    frame, belongs = read_outputs(folder), belonging(folder, segment)
    kinds = kinds_of(folder, frame)
    return _Version(
        store,
        model,
        version,
        monitor,
        kinds,
        positives(folder),
        _reference(None if frame is None else of_segment(frame, segment, belongs), kinds),
        segment or "",
        belongs,
    )


def _reference(frame: pd.DataFrame | None, kinds: Kinds) -> dict[str, Sample]:
    if frame is None:
        return {}
    samples = {name: of_reference(frame, name, kind) for name, kind in kinds.items()}
    return {name: sample for name, sample in samples.items() if sample is not None}


def _check(known: _Version, seen: _Seen, window: str, run: str | None) -> PerformanceCheck:
    return PerformanceCheck(
        model=known.model,
        version=known.version,
        window=window,
        segment=known.segment,
        rows=seen.rows,
        labelled=seen.labelled,
        first_at=seen.window.first_at,
        last_at=seen.window.last_at,
        alpha=known.monitor.alpha,
        run=run,
        metrics=levelled(seen.verdicts, known.monitor),
    )


def _by_labels(known: _Version, span: Span) -> _Seen | None:
    """Measure the labelled predictions of a stretch."""
    wanted = watched(known.monitor.metrics, known.kinds)
    window = read_labelled(
        known.store, known.model, known.version, span, known.kinds, known.belongs
    )
    if window is None:
        return None
    verdicts: list[MetricVerdict] = []
    for output, sample in window.samples.items():
        names, kind = wanted[output], known.kinds[output]
        for metric in metrics_of(kind, known.positives.get(output), names):
            base, is_watched = known.reference.get(output), metric.name in names
            verdict = judged(output, metric, sample, base, watched=is_watched)
            if verdict is not None:
                verdicts.append(verdict)
    if not verdicts:
        return None
    rows = window.rows
    if not known.segment:
        between = Span(since=window.first_at, until=window.last_at)
        rows = known.store.count_predictions(known.model, known.version, between)
    return _Seen(window, rows, window.rows, verdicts)


def _by_confidence(known: _Version, span: Span) -> _Seen | None:
    """Estimate the accuracy of the labels that a stretch was answered with."""
    able = {
        name: reference.sure
        for name, reference in known.reference.items()
        if known.kinds[name] == "label" and len(reference.sure) >= MIN_BASELINE
    }
    if not known.monitor.estimate or not able:
        return None
    window = read_seen(
        known.store, known.model, known.version, span,
        {name: known.kinds[name] for name in able}, known.belongs,
    )  # fmt: skip
    if window is None or window.rows < MIN_ROWS:
        return None
    labelled = _labelled(known, window)
    if labelled >= MOSTLY_LABELLED * window.rows:
        return None
    watches = watched(known.monitor.metrics, known.kinds)
    verdicts = [
        _estimated(output, able[output], sample.sure, watched=ACCURACY in watches[output])
        for output, sample in window.samples.items()
        if len(sample.sure) >= MIN_ROWS
    ]
    return _Seen(window, window.rows, labelled, verdicts) if verdicts else None


def _labelled(known: _Version, window: Window) -> int:
    """Count the window's predictions that have labels."""
    between = Span(since=window.first_at, until=window.last_at)
    found = read_labelled(
        known.store, known.model, known.version, between, known.kinds, known.belongs
    )
    return 0 if found is None else found.rows


def _estimated(output: str, reference: Sample, live: Sample, *, watched: bool) -> MetricVerdict:
    found = estimate(reference.probability, reference.right, live.probability)
    return MetricVerdict(
        output=output,
        metric=ACCURACY,
        estimated=True,
        watched=watched,
        rows=len(live),
        value=found.value,
        low=found.low,
        high=found.high,
        baseline=found.baseline,
        baseline_rows=len(reference),
        degradation=degradation(found.value, found.baseline, lower_is_better=False),
        p_value=found.p_value if watched else None,
        note=COVARIATE_SHIFT.format(how=found.how),
    )
