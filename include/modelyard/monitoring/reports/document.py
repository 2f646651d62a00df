"""Put into words what a comparison and its surroundings say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.reports import words
from modelyard.monitoring.reports.answers import alert_lines, metric_line, metrics_of, told_first
from modelyard.monitoring.reports.context import ReportContext
from modelyard.monitoring.reports.findings import drift_line, finding_of, what_changed
from modelyard.monitoring.reports.said import Document, History, Profiles, Row
from modelyard.store.monitoring_records import AlertRecord, DriftCheck, PerformanceCheck

if TYPE_CHECKING:
    from modelyard.monitoring.reports.distributions import Distribution

MOST_ROWS: Final = 15
ONE_LOOK: Final = timedelta(hours=1)
RANK: Final = {"warning": 0, "critical": 1, "immediate": 2}


def document(
    check: DriftCheck,
    distributions: Mapping[str, Distribution],
    profiles: Profiles,
    context: ReportContext,
) -> Document:
    """Put into words what a comparison and its surroundings say."""
    findings = tuple(
        finding_of(verdict, check, context.earlier, what_changed(verdict, distributions, profiles))
        for verdict in check.verdicts
        if verdict.drifted
    )
    said = Document(
        headline=words.headline(check),
        summary=(drift_line(check, findings),),
        promise=words.promise(check),
        drifted_columns=tuple(words.drifted_columns(check.verdicts)),
        findings=findings,
        metrics=(),
        labelled=None,
        history=_history(check, context.earlier),
        alerts=(),
        examples=context.examples,
        cloud=context.cloud,
    )
    return retold(said, context.performance, context.alerts)


def retold(
    said: Document, performance: Sequence[PerformanceCheck], alerts: Sequence[AlertRecord]
) -> Document:
    """Say the same of a comparison, and of performance and alerts what is known now."""
    worst_first = sorted(alerts, key=lambda alert: (-RANK[alert.level], alert.onset))
    # What was measured long before the newest look, and not since, is no longer known.
    looks = [look for look in performance if performance[0].at - look.at <= ONE_LOOK]
    metrics = tuple(metrics_of(looks))
    lines = [*map(metric_line, told_first(metrics)), *alert_lines(worst_first)]
    return said.model_copy(
        update={
            "summary": (said.summary[0], *lines),
            "metrics": metrics,
            "labelled": next((look for look in looks if _by_labels(look)), None),
            "alerts": tuple(worst_first),
        }
    )


def _by_labels(check: PerformanceCheck) -> bool:
    return any(not metric.estimated for metric in check.metrics)


def _history(check: DriftCheck, earlier: Sequence[DriftCheck]) -> History | None:
    if not earlier:
        return None
    checks = [*reversed(earlier), check]
    names = list(
        dict.fromkeys(
            column for one in reversed(checks) for column in words.drifted_columns(one.verdicts)
        )
    )
    return History(
        at=tuple(one.at for one in checks),
        rows=tuple(_row(name, checks) for name in names[:MOST_ROWS]),
        left_out=max(len(names) - MOST_ROWS, 0),
    )


def _row(column: str, checks: Sequence[DriftCheck]) -> Row:
    found = [[one for one in check.verdicts if one.column == column] for check in checks]
    return Row(
        column=column,
        effects=tuple(
            max((one.effect for one in some if one.p_value is not None), default=None)
            for some in found
        ),
        drifted=tuple(any(one.drifted for one in some) for some in found),
    )
