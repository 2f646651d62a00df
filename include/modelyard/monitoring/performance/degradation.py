"""By what share metrics are worse than at the evaluation, how sure that is, and which level it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from modelyard.monitoring.performance.metrics import Metric
from modelyard.monitoring.performance.samples import Sample
from modelyard.monitoring.statistics.corrections import correct
from modelyard.spec.monitor import Level, LevelsSpec, MonitorSpec
from modelyard.store.monitoring_records import MetricVerdict

# With fewer rows only the grossest degradation could ever be significant.
MIN_ROWS: Final = 30
MIN_BASELINE: Final = 10
NO_BASELINE: Final = "the version kept no answers of its test rows: train again for a baseline"
SMALL_BASELINE: Final = f"fewer than {MIN_BASELINE} test rows to compare with"


def judged(
    output: str, metric: Metric, live: Sample, base: Sample | None, *, watched: bool
) -> MetricVerdict | None:
    """Compute one metric of a window and hold it against the evaluation; None with too few rows.

    Only watched metrics are tested, for each test costs chance and time.
    """
    live = metric.usable(live)
    base = None if base is None else metric.usable(base)
    if len(live) < MIN_ROWS:
        return None
    value = metric.value(live)
    if not math.isfinite(value):
        return None
    low, high = (min(max(end, metric.bounds[0]), metric.bounds[1]) for end in metric.interval(live))
    found = MetricVerdict(
        output=output,
        metric=metric.name,
        watched=watched,
        rows=len(live),
        value=value,
        low=_finite(low),
        high=_finite(high),
    )
    if base is None or len(base) < MIN_BASELINE:
        note = NO_BASELINE if base is None else SMALL_BASELINE
        return found.model_copy(update={"note": note if watched else None})
    baseline = metric.value(base)
    told = {
        "baseline": _finite(baseline),
        "baseline_rows": len(base),
        "degradation": degradation(value, baseline, lower_is_better=metric.lower_is_better),
    }
    if watched and math.isfinite(baseline):
        told["p_value"] = _finite(metric.chance(base, live))
    return found.model_copy(update=told)


def degradation(value: float, baseline: float, *, lower_is_better: bool) -> float | None:
    """Return by what share of the baseline the value is worse; below 0 it is better.

    None where the baseline is not above 0: of nothing there is no share.
    """
    if not baseline > 0:
        return None
    share = (value - baseline) / baseline if lower_is_better else (baseline - value) / baseline
    return _finite(share)


def levelled(verdicts: Sequence[MetricVerdict], monitor: MonitorSpec) -> tuple[MetricVerdict, ...]:
    """Correct the p-values over the watched metrics, and give each the level that it crossed.

    The watched ones come first, the worst of them at the head.
    """
    tested = [one for one in verdicts if one.p_value is not None]
    p_values = [one.p_value for one in tested if one.p_value is not None]
    adjusted = dict(zip(map(id, tested), correct(p_values, monitor.correction), strict=True))
    found = [_levelled(one, adjusted.get(id(one)), monitor) for one in verdicts]
    return tuple(sorted(found, key=_order))


def _levelled(one: MetricVerdict, adjusted: float | None, monitor: MonitorSpec) -> MetricVerdict:
    sure = adjusted is not None and adjusted <= monitor.alpha
    level = level_of(one.degradation, monitor.levels) if sure else None
    return one.model_copy(update={"p_adjusted": adjusted, "level": level})


def level_of(share: float | None, levels: LevelsSpec) -> Level | None:
    """Return the highest level that a degradation is above."""
    if share is None or share <= levels.warning:
        return None
    if share > levels.immediate:
        return "immediate"
    return "critical" if share > levels.critical else "warning"


def _order(one: MetricVerdict) -> tuple[bool, float]:
    worst = one.degradation if one.degradation is not None else -math.inf
    return (not one.watched, -worst if one.watched else 0.0)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
