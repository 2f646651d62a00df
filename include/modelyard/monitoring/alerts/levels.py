"""What a verdict says of the level of an alert."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from modelyard.spec.monitor import LEVELS, Level, MonitorSpec
from modelyard.store.monitoring_records import (
    AlertKind,
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    Verdict,
)

MISSING: Final = " (missing)"
"""Marks that not a column's values are meant, but how often there is none."""
LONGEST: Final = 255

type Key = tuple[int, AlertKind, str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one window says of one subject: a level, or that nothing is wrong.

    What could not be judged, for want of rows, is no finding.
    """

    version: int
    kind: AlertKind
    subject: str
    segment: str
    window: str
    rows: int
    """Predictions that it was judged by; tells short windows from long ones."""
    first_at: datetime
    last_at: datetime
    level: Level | None
    """None: nothing is wrong."""
    value: float
    """The effect size, or the degradation."""
    small: bool
    """Whether the value itself is no drift or degradation, however sure."""
    reason: str
    """What is wrong, in words; empty where nothing is."""
    since: datetime | None = None
    check: str | None = None
    report: str | None = None

    @property
    def key(self) -> Key:
        """What it is about, within a model."""
        return (self.version, self.kind, self.subject, self.segment)


def rank(level: Level | None) -> int:
    """Return 0 for nothing wrong and more the worse it is."""
    return 0 if level is None else LEVELS.index(level) + 1


def key_of(alert: AlertRecord) -> Key:
    """Return what an alert is about, within its model."""
    return (alert.version, alert.kind, alert.subject, alert.segment)


def subject_of(verdict: Verdict) -> str:
    """Name a drift verdict's subject; values and missing values of a column are two subjects."""
    mark = MISSING if verdict.kind == "missing" else ""
    return verdict.column[: LONGEST - len(mark)] + mark


def drift_level(verdict: Verdict, monitor: MonitorSpec) -> Level | None:
    """Say how bad drift is: any is a warning, a large effect more."""
    if not verdict.drifted:
        return None
    if verdict.effect >= monitor.drift_levels.immediate:
        return "immediate"
    return "critical" if verdict.effect >= monitor.drift_levels.critical else "warning"


def drift_findings(
    check: DriftCheck, monitor: MonitorSpec, report: str | None = None
) -> Iterator[Finding]:
    """Read a comparison: one finding for each column that could be judged.

    Where no value is missing on either side there is no verdict on that, which says that it is over.
    """
    absent = [verdict for verdict in check.verdicts if verdict.kind == "missing"]
    told = {verdict.column for verdict in absent}
    shared = {_shared(verdict) for verdict in absent if verdict.drifted}
    for verdict in check.verdicts:
        asked = verdict.column in told or _shared(verdict) in shared
        if verdict.kind != "missing" and not asked:
            yield _complete(check, verdict)
        if verdict.p_value is None and not verdict.drifted and not _alike(verdict):
            continue
        level = drift_level(verdict, monitor)
        yield Finding(
            version=check.version,
            kind="drift",
            subject=subject_of(verdict),
            segment=check.segment,
            window=check.window,
            rows=check.rows,
            first_at=check.first_at,
            last_at=check.last_at,
            level=level,
            value=verdict.effect,
            small=verdict.effect < monitor.min_effect,
            reason=_drift_reason(check, verdict),
            since=verdict.since,
            check=check.id,
            report=report,
        )


def _shared(verdict: Verdict) -> tuple[str, float, float]:
    """What measures of one input have in common: their missing values are asked about once."""
    prefix = verdict.column.rpartition(".")[0]
    return prefix, verdict.reference_missing, verdict.live_missing


def _alike(verdict: Verdict) -> bool:
    """Whether both sides are one and the same, which no test needs to say."""
    note = verdict.note or ""
    return note.startswith("always ") or note == "there is never a value"


def performance_findings(check: PerformanceCheck, monitor: MonitorSpec) -> Iterator[Finding]:
    """Read a look at performance: one finding for each watched metric that could be judged."""
    for metric in check.metrics:
        if not metric.watched or metric.degradation is None:
            continue
        if metric.level is None and metric.p_value is None:
            continue
        yield Finding(
            version=check.version,
            kind="estimate" if metric.estimated else "performance",
            subject=f"{metric.output}.{metric.metric}"[:LONGEST],
            segment=check.segment,
            window=check.window,
            rows=metric.rows,
            first_at=check.first_at,
            last_at=check.last_at,
            level=metric.level,
            value=metric.degradation,
            small=metric.degradation <= monitor.levels.warning,
            reason=_metric_reason(check, metric),
            check=check.id,
        )


def _complete(check: DriftCheck, verdict: Verdict) -> Finding:
    return Finding(
        version=check.version,
        kind="drift",
        subject=verdict.column[: LONGEST - len(MISSING)] + MISSING,
        segment=check.segment,
        window=check.window,
        rows=check.rows,
        first_at=check.first_at,
        last_at=check.last_at,
        level=None,
        value=0.0,
        small=True,
        reason="",
        check=check.id,
    )


def _drift_reason(check: DriftCheck, verdict: Verdict) -> str:
    if not verdict.drifted:
        return ""
    effect = f"{verdict.effect_name} {verdict.effect:.3g}"
    where = _where(check.window, check.segment)
    if verdict.kind == "missing":
        rates = (
            f"{verdict.live_missing:.1%}, against {verdict.reference_missing:.1%} in the reference"
        )
        return f"{verdict.column} is missing in {rates}, {where}: {effect}"
    return f"{verdict.column} differs from the reference {where}: {effect}"


def _metric_reason(check: PerformanceCheck, metric: MetricVerdict) -> str:
    if metric.level is None:
        return ""
    name = f"{'estimated ' if metric.estimated else ''}{metric.output}.{metric.metric}"
    worse = "" if metric.degradation is None else f"{metric.degradation:.1%} worse than "
    known = (
        "at the evaluation"
        if metric.baseline is None
        else f"{metric.baseline:.4g} at the evaluation"
    )
    where = _where(check.window, check.segment)
    return f"{name} is {metric.value:.4g}, {worse}{known}, {where} ({metric.rows:,} rows)"


def _where(window: str, segment: str) -> str:
    stretch = "all predictions" if window == "all" else f"the last {window}"
    if window.isdigit():
        stretch = f"the last {int(window):,} predictions"
    return f"in {stretch} with {segment}" if segment else f"in {stretch}"
