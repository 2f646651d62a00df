"""Plots of what watching found: a metric over time, and effect sizes over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from modelyard.errors import MonitoringError
from modelyard.spec.models import MonitorSpec
from modelyard.spec.monitor import LEVELS, LevelsSpec
from modelyard.store.monitoring_records import DriftCheck, MetricVerdict, PerformanceCheck
from modelyard.training.figures import FAINT, INK, STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart with any of the usual kinds of colour blindness.
COLOURS: Final = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8a7500",
)
MARKS: Final = ("o", "s", "^", "D", "v", "P", "X", "h")
LEVEL_COLOURS: Final = {"warning": "#b07c00", "critical": "#d55e00", "immediate": "#a1123f"}
SIZE: Final = (8.6, 4.2)
LONGEST: Final = 28

type Point = tuple[Any, MetricVerdict]


def metric_named(looks: Sequence[PerformanceCheck], metric: str, model: str) -> tuple[str, str]:
    """Return the output and the metric that a name means: METRIC or OUTPUT.METRIC.

    Raises:
        MonitoringError: there is none of that name, or several outputs have it.
    """
    known = {(one.output, one.metric) for look in looks for one in look.metrics}
    found = sorted(one for one in known if metric in {one[1], f"{one[0]}.{one[1]}"})
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{output}.{name}" for output, name in sorted(found or known))
    if found:
        message = f"several outputs of {model} have {metric}"
        raise MonitoringError(message, hint=f"say which: {names}")
    message = f"{metric} of {model} was not measured"
    raise MonitoringError(message, hint=f"measured were {names}")


def draw_metric(
    looks: Sequence[PerformanceCheck], output: str, metric: str, model: str, levels: LevelsSpec
) -> Figure:
    """Draw a metric over time: by labels and estimated, intervals, baseline and levels."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, [axes] = new_figure(1, *SIZE)
        for version in sorted({look.version for look in looks}):
            for estimated in (False, True):
                points = _points(looks, output, metric, version, estimated=estimated)
                _draw_points(axes, points, version, estimated=estimated)
        now = [one for look in looks for one in look.metrics if _is(one, output, metric)]
        _draw_levels(axes, now, levels)
        _finish(axes, f"{model}: {output}.{metric}, window {looks[-1].window}", f"{metric}")
    return figure


def draw_drift(
    checks: Sequence[DriftCheck], column: str | None, model: str, monitor: MonitorSpec
) -> Figure:
    """Draw effect sizes over time; filled marks are drift, and lines the limits of alerts.

    Raises:
        MonitoringError: the column was never compared.
    """
    import matplotlib as mpl

    shown = _columns(checks, column, model)
    with mpl.rc_context(STYLE):
        figure, [axes] = new_figure(1, *SIZE)
        for place, name in enumerate(shown):
            _draw_column(axes, checks, name, COLOURS[place], MARKS[place])
        limits = {"drift from here": (monitor.min_effect, INK)}
        for level in ("critical", "immediate"):
            limits[level] = (getattr(monitor.drift_levels, level), LEVEL_COLOURS[level])
        _draw_limits(axes, limits)
        axes.set_ylim(bottom=0)
        _finish(axes, f"{model}: effect sizes, window {checks[-1].window}", "effect size")
    return figure


def _is(one: MetricVerdict, output: str, metric: str) -> bool:
    return (one.output, one.metric) == (output, metric)


def _points(
    looks: Sequence[PerformanceCheck], output: str, metric: str, version: int, *, estimated: bool
) -> list[Point]:
    return [
        (look.last_at, one)
        for look in looks
        for one in look.metrics
        if look.version == version and _is(one, output, metric) and one.estimated is estimated
    ]


def _draw_points(axes: Axes, points: list[Point], version: int, *, estimated: bool) -> None:
    if not points:
        return
    colour = COLOURS[2 * version % 4 + estimated]
    at = [moment for moment, _ in points]
    values = [one.value for _, one in points]
    low = [one.value if one.low is None else one.low for _, one in points]
    high = [one.value if one.high is None else one.high for _, one in points]
    axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        at,
        values,
        color=colour,
        marker="D" if estimated else "o",
        markersize=4.5,
        linestyle="--" if estimated else "-",
        label=f"version {version}, {'estimated' if estimated else 'by labels'}",
    )


def _draw_levels(axes: Axes, found: Sequence[MetricVerdict], levels: LevelsSpec) -> None:
    """Draw the newest baseline and the values at which each level begins."""
    baseline = next((one.baseline for one in reversed(found) if one.baseline is not None), None)
    if baseline is None:
        return
    sign = 1 if _lower_is_better(found) else -1
    limits = {"at the evaluation": (baseline, INK)}
    for level in LEVELS:
        limits[level] = (baseline * (1 + sign * getattr(levels, level)), LEVEL_COLOURS[level])
    _draw_limits(axes, limits)


def _lower_is_better(found: Sequence[MetricVerdict]) -> bool:
    """Tell from any look that differed from its baseline; without one nothing is drawn wrong."""
    for one in found:
        if one.degradation and one.baseline is not None and one.value != one.baseline:
            return (one.value > one.baseline) == (one.degradation > 0)
    return False


def _draw_limits(axes: Axes, limits: dict[str, tuple[float, str]]) -> None:
    for name, (value, colour) in limits.items():
        solid = colour == INK
        axes.axhline(value, color=colour, linewidth=1.1, linestyle="-" if solid else ":", zorder=1)
        axes.annotate(
            name,
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=colour,
            annotation_clip=False,
        )


def _columns(checks: Sequence[DriftCheck], column: str | None, model: str) -> list[str]:
    """Choose what is drawn: the column, or those with the largest effects, drifted ones first."""
    peaks: dict[str, tuple[bool, float]] = {}
    for verdict in (one for check in checks for one in check.verdicts if one.p_value is not None):
        peak = (verdict.drifted, verdict.effect)
        peaks[verdict.column] = max(peaks.get(verdict.column, peak), peak)
    if column is None:
        return sorted(peaks, key=lambda name: peaks[name], reverse=True)[: len(COLOURS)]
    if column not in peaks:
        message = f"the column {column} of {model} was never compared"
        raise MonitoringError(message, hint=f"compared were {', '.join(sorted(peaks)[:20])}")
    return [column]


def _draw_column(
    axes: Axes, checks: Sequence[DriftCheck], name: str, colour: str, mark: str
) -> None:
    points = [
        (check.last_at, max(found, key=lambda one: (one.drifted, one.effect)))
        for check in checks
        if (
            found := [
                one for one in check.verdicts if one.column == name and one.p_value is not None
            ]
        )
    ]
    at: list[Any] = [moment for moment, _ in points]
    label = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\u2026"
    # A name that begins with an underline would be left out of the legend, and $ begins a formula.
    axes.plot(
        at,
        [one.effect for _, one in points],
        color=colour,
        linewidth=1.4,
        marker=mark,
        markersize=5.5,
        markerfacecolor="white",
        label="\u200b" + label.replace("$", r"\$"),
    )
    drifted = [(moment, one.effect) for moment, one in points if one.drifted]
    if drifted:
        axes.plot(
            *zip(*drifted, strict=True), color=colour, marker=mark, linestyle="none", markersize=5.5
        )


def _finish(axes: Axes, title: str, y_label: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_title(title.replace("$", r"\$"), loc="left")
    axes.set_ylabel(y_label.replace("$", r"\$"))
    axes.set_xlabel("end of the window, UTC")
    axes.grid(axis="x", visible=False)
    axes.tick_params(color=FAINT)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.figure.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=8.5)
