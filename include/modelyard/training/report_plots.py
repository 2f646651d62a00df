"""Plots of an evaluation beyond the learning curves: ROC, calibration, residuals, the training's pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelyard.features import ModelFeature
from modelyard.training.figures import COLOURS, FAINT, INK, new_figure, whole_numbers
from modelyard.training.report import (
    answers,
    calibration_error,
    label_order,
    reliability,
    roc_curves,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

MOST_CURVES = 10
PACE = {
    "learning_rate": "learning rate",
    "epoch_seconds": "seconds an epoch",
    "batch_seconds": "seconds a batch",
}


def roc(output: ModelFeature, predictions: DataFrame) -> Figure | None:
    """Draw one curve a class against the rest; of many classes, those told apart worst."""
    curves = roc_curves(output, predictions)
    if not curves:
        return None
    mean = sum(curve.area for curve in curves) / len(curves)
    worst = sorted(curves, key=lambda curve: curve.area)[:MOST_CURVES]
    shown = sorted(worst, key=lambda curve: label_order(curve.label))
    figure, (axis,) = new_figure(1, 5.6, 4.4)
    from matplotlib import colormaps

    for number, curve in enumerate(shown):
        colour = COLOURS["train"] if len(shown) == 1 else colormaps["tab10"](number)
        label = f"{curve.label}  {curve.area:.3f}"
        axis.plot(
            curve.false_positive, curve.true_positive, color=colour, linewidth=1.6, label=label
        )
    axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    which = "" if len(shown) == len(curves) else f", the {len(shown)} worst of {len(curves)}"
    axis.set_title(f"{output.name}: mean area under the curve {mean:.4g}{which}", loc="left")
    axis.legend(title="class  area", fontsize=8, loc="lower right")
    return figure


def calibration(output: ModelFeature, predictions: DataFrame) -> Figure:
    """Draw how often predictions of a probability are right, and how many there are of it."""
    bins = reliability(output, predictions)
    figure, (axis, counts) = new_figure(2, 8.4, 3.8)
    axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="ideal")
    points = [one.confidence for one in bins], [one.accuracy for one in bins]
    axis.plot(*points, color=COLOURS["train"], marker="o", markersize=4, label="measured")
    axis.set(xlabel="probability of the prediction", ylabel="share that is right")
    axis.set(xlim=(0, 1.02), ylim=(0, 1.02))
    error = calibration_error(bins)
    axis.set_title(f"{output.name}: expected calibration error {error:.3g}", loc="left")
    axis.legend(loc="upper left")
    edges, heights = [one.low for one in bins], [one.rows for one in bins]
    counts.bar(
        edges, heights, width=bins[0].high - bins[0].low, align="edge", color=COLOURS["train"]
    )
    counts.set(xlabel="probability of the prediction", ylabel="rows", xlim=(0, 1.02))
    counts.set_title("how many", loc="left")
    return figure


def residuals(output: ModelFeature, predictions: DataFrame) -> Figure:
    """Draw the errors of a number over the predictions, and how they are spread."""
    truth, predicted = answers(output, predictions)
    errors = [guess - true for guess, true in zip(predicted, truth, strict=True)]
    figure, (axis, counts) = new_figure(2, 8.4, 3.8)
    axis.scatter(predicted, errors, s=14, alpha=0.6, color=COLOURS["train"], linewidths=0)
    axis.axhline(0, color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="predicted", ylabel="predicted - true")
    axis.set_title(f"{output.name}: residuals", loc="left")
    counts.hist(errors, bins=min(30, max(5, len(errors) // 5)), color=COLOURS["train"])
    counts.axvline(sum(errors) / len(errors), color=INK, linewidth=0.8, linestyle=":", label="mean")
    counts.set(xlabel="predicted - true", ylabel="rows")
    counts.legend()
    return figure


def pace(history: Sequence[dict[str, float]]) -> Figure | None:
    """Draw the learning rate and the times of epochs and batches."""
    shown = [name for name in PACE if any(name in figures for figures in history)]
    if not shown:
        return None
    figure, axes = new_figure(len(shown), 3.4 * len(shown), 2.8)
    for axis, name in zip(axes, shown, strict=True):
        _over_epochs(axis, name, history)
    return figure


def _over_epochs(axis: Axes, name: str, history: Sequence[dict[str, float]]) -> None:
    points = [(figures["epoch"], figures[name]) for figures in history if name in figures]
    epochs, values = zip(*points, strict=True)
    axis.plot(epochs, values, color=COLOURS["train"], linewidth=1.8, marker=".")
    axis.set_title(PACE[name], loc="left")
    axis.set_xlabel("epoch")
    if name == "learning_rate" and min(values) > 0 and max(values) > 10 * min(values):
        axis.set_yscale("log")
    elif name != "learning_rate":
        axis.set_ylim(bottom=0)
    axis.tick_params(color=FAINT)
    whole_numbers(axis)
