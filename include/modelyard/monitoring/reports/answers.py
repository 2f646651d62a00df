"""How good the answers were and which alerts are open, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modelyard.monitoring.reports import words
from modelyard.monitoring.reports.said import Line, Metric
from modelyard.store.monitoring_records import AlertRecord, MetricVerdict, PerformanceCheck

SAME: Final = "the same"
BEFORE: Final = (" than at the evaluation", " as at the evaluation")


def metrics_of(performance: Sequence[PerformanceCheck]) -> list[Metric]:
    """The newest value of each metric, labelled ones before estimates."""
    newest: dict[tuple[str, str, bool], Metric] = {}
    for check in performance:
        for metric in check.metrics:
            key = (metric.output, metric.metric, metric.estimated)
            if key not in newest:
                title = f"{metric.output}.{metric.metric}"
                newest[key] = Metric(now=metric, title=title, change=_change(metric), at=check.at)
    return sorted(newest.values(), key=lambda one: (one.now.estimated, not one.now.watched))


def _change(metric: MetricVerdict) -> str:
    if metric.degradation is None:
        return "-"
    if abs(metric.degradation) < 0.0005:  # noqa: PLR2004 - what a tenth of a percent rounds to 0
        return SAME
    side = "worse" if metric.degradation > 0 else "better"
    return f"{words.percent(abs(metric.degradation))} {side}"


def told_first(metrics: Sequence[Metric]) -> list[Metric]:
    """What the summary names: what is worst of the labelled ones and of the estimates."""
    shown = []
    for estimated in (False, True):
        found = [m for m in metrics if m.now.estimated is estimated and m.now.watched]
        found.sort(key=lambda m: -(m.now.degradation or 0.0))
        shown += found[:1]
    return shown


def metric_line(metric: Metric) -> Line:
    """Say how good one metric is now, and how it was at the evaluation."""
    now = metric.now
    how = "Estimated without labels: " if now.estimated else "By labels: "
    between = (
        ""
        if now.low is None or now.high is None
        else f" ({words.figure(now.low)} to {words.figure(now.high)})"
    )
    level = f": {now.level}" if now.level else ""
    than = "" if now.degradation is None else f", {metric.change}{BEFORE[metric.change == SAME]}"
    text = f"{how}{metric.title} {words.figure(now.value)}{between}{than}{level}."
    return Line(tone="bad" if now.level else "plain", text=text)


def alert_lines(alerts: Sequence[AlertRecord]) -> list[Line]:
    """Count the open alerts, which come the worst first; nothing where there are none."""
    if not alerts:
        return []
    count = words.counted(len(alerts), "open alert")
    unseen = sum(alert.acknowledged is None for alert in alerts)
    seen = "" if unseen else ", all acknowledged"
    return [Line(tone="bad", text=f"{count}, the worst {alerts[0].level}{seen}.")]
