"""Every plot of an evaluation as PNG files; here curves, confusion, and predicted against true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.features import ModelFeature, ModelSignature
from modelyard.training.figures import COLOURS, INK, STYLE, new_figure, save, whole_numbers
from modelyard.training.report import LABELS, answers, has_probabilities, label_order
from modelyard.training.report_plots import calibration, pace, residuals, roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

MOST_CLASSES = 30
NUMBERS_UP_TO = 15


def draw(
    signature: ModelSignature,
    history: Sequence[dict[str, float]],
    predictions: DataFrame,
    folder: Path,
    best_epoch: int,
) -> list[Path]:
    """Draw every plot that fits the model's outputs."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figures = {"training_pace": pace(history)}
        for output in signature.outputs:
            for kind, figure in _of_output(output, history, predictions, best_epoch):
                figures[f"{output.name}_{kind}"] = figure
        return [
            save(figure, folder / f"{name}.png")
            for name, figure in figures.items()
            if figure is not None
        ]


def _of_output(
    output: ModelFeature,
    history: Sequence[dict[str, float]],
    predictions: DataFrame,
    best_epoch: int,
) -> Iterator[tuple[str, Figure | None]]:
    yield "curves", _curves(output, history, best_epoch)
    if output.type in LABELS and len(output.categories or ()) > 1:
        yield "confusion", _confusion(output, predictions)
        yield "roc", roc(output, predictions)
        if has_probabilities(output, predictions):
            yield "calibration", calibration(output, predictions)
    elif output.type == "number":
        yield "scatter", _scatter(output, predictions)
        yield "residuals", residuals(output, predictions)


def _curves(output: ModelFeature, history: Sequence[dict[str, float]], best_epoch: int) -> Figure:
    measure = "accuracy" if output.type in {"category", "binary"} else "mean_absolute_error"
    shown = [
        name
        for name in ("loss", measure)
        if any(f"train/{output.name}.{name}" in figures for figures in history)
    ] or ["loss"]
    figure, axes = new_figure(len(shown), 4.6 * len(shown), 3.4)
    for axis, name in zip(axes, shown, strict=True):
        _curve(axis, f"{output.name}.{name}", history)
        axis.set_title(name.replace("_", " "), loc="left")
        axis.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=":", label="kept")
    axes[0].legend()
    return figure


def _curve(axis: Axes, metric: str, history: Sequence[dict[str, float]]) -> None:
    for split, colour in COLOURS.items():
        points = [
            (figures["epoch"], figures[f"{split}/{metric}"])
            for figures in history
            if f"{split}/{metric}" in figures
        ]
        if points:
            epochs, values = zip(*points, strict=True)
            axis.plot(epochs, values, color=colour, linewidth=1.8, label=split)
    axis.set_xlabel("epoch")
    whole_numbers(axis)


def _confusion(output: ModelFeature, predictions: DataFrame) -> Figure:
    import numpy as np
    from sklearn.metrics import confusion_matrix

    truth, predicted = answers(output, predictions)
    labels = _most_frequent(output, truth)
    counts = confusion_matrix(truth, predicted, labels=labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(9.0, max(3.8, 1.8 + 0.42 * len(labels)))
    figure, (axis,) = new_figure(1, side + 0.6, side)
    axis.grid(visible=False)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(labels)), labels, rotation=45 if _long(labels) else 0)
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="predicted", ylabel="true")
    axis.set_title(f"{output.name}: {np.trace(counts)} of {counts.sum()} right", loc="left")
    if len(labels) <= NUMBERS_UP_TO:
        _write_counts(axis, counts.tolist(), shares.tolist())
    return figure


def _write_counts(axis: Axes, counts: list[list[int]], shares: list[list[float]]) -> None:
    for row, values in enumerate(counts):
        for column, count in enumerate(values):
            if count:
                colour = "white" if shares[row][column] > 0.5 else INK  # noqa: PLR2004 - half blue
                axis.text(column, row, str(count), ha="center", va="center", color=colour)


def _scatter(output: ModelFeature, predictions: DataFrame) -> Figure:
    truth, predicted = answers(output, predictions)
    figure, (axis,) = new_figure(1, 4.6, 4.4)
    axis.scatter(truth, predicted, s=14, alpha=0.6, color=COLOURS["train"], linewidths=0)
    ends = [min(*truth, *predicted), max(*truth, *predicted)]
    axis.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="true", ylabel="predicted")
    axis.set_title(output.name, loc="left")
    return figure


def _most_frequent(output: ModelFeature, truth: Sequence[str]) -> list[str]:
    """Sort labels as people do (2 before 10); of very many, keep those with most rows."""
    known = list(output.categories or ())
    kept = sorted(known, key=lambda label: -truth.count(label))[:MOST_CLASSES]
    return sorted(kept, key=label_order)


def _long(labels: Sequence[str]) -> bool:
    return max(map(len, labels)) > 3  # noqa: PLR2004 - longer words run into each other
