"""Learning curves, confusion matrices, and predicted against true numbers, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.features import ModelFeature, ModelSignature

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

INK = "#1f2933"
FAINT = "#cbd2d9"
COLOURS = {"train": "#2563eb", "validation": "#ea580c", "test": "#16a34a"}
DPI = 120
MOST_CLASSES = 30
NUMBERS_UP_TO = 15
STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


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
    drawn = []
    with mpl.rc_context(STYLE):
        for output in signature.outputs:
            drawn.append(_save(_curves(output, history, best_epoch), folder, output, "curves"))
            if output.type in {"category", "binary"} and len(output.categories or ()) > 1:
                drawn.append(_save(_confusion(output, predictions), folder, output, "confusion"))
            elif output.type == "number":
                drawn.append(_save(_scatter(output, predictions), folder, output, "scatter"))
    return drawn


def _save(figure: Figure, folder: Path, output: ModelFeature, kind: str) -> Path:
    file = folder / f"{output.name}_{kind}.png"
    figure.savefig(
        file, dpi=DPI, metadata={"Software": None}
    )  # no version: equal runs, equal files
    return file


def _new(columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure without pyplot, which keeps figures alive and picks a screen's backend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, columns, number + 1) for number in range(columns)]


def _curves(output: ModelFeature, history: Sequence[dict[str, float]], best_epoch: int) -> Figure:
    measure = "accuracy" if output.type in {"category", "binary"} else "mean_absolute_error"
    shown = [
        name
        for name in ("loss", measure)
        if any(f"train/{output.name}.{name}" in figures for figures in history)
    ] or ["loss"]
    figure, axes = _new(len(shown), 4.6 * len(shown), 3.4)
    for axis, name in zip(axes, shown, strict=True):
        _curve(axis, f"{output.name}.{name}", history)
        axis.set_title(name.replace("_", " "), loc="left")
        axis.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=":", label="kept")
    axes[0].legend()
    return figure


def _curve(axis: Axes, metric: str, history: Sequence[dict[str, float]]) -> None:
    from matplotlib.ticker import MaxNLocator

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
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def _confusion(output: ModelFeature, predictions: DataFrame) -> Figure:
    import numpy as np
    from sklearn.metrics import confusion_matrix

    truth, predicted = _columns(output, predictions)
    labels = _most_frequent(output, truth)
    counts = confusion_matrix(truth, predicted, labels=labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(9.0, max(3.8, 1.8 + 0.42 * len(labels)))
    figure, (axis,) = _new(1, side + 0.6, side)
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
    truth, predicted = _columns(output, predictions)
    figure, (axis,) = _new(1, 4.6, 4.4)
    axis.scatter(truth, predicted, s=14, alpha=0.6, color=COLOURS["train"], linewidths=0)
    ends = [min(*truth, *predicted), max(*truth, *predicted)]
    axis.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="true", ylabel="predicted")
    axis.set_title(output.name, loc="left")
    return figure


def _columns(output: ModelFeature, predictions: DataFrame) -> tuple[list[str], list[str]]:
    kinds = ("truth", "prediction")
    truth, predicted = (predictions[f"{output.name}.{kind}"].tolist() for kind in kinds)
    return truth, predicted


def _most_frequent(output: ModelFeature, truth: Sequence[str]) -> list[str]:
    """Sort labels as people do (2 before 10); of very many, keep those with most rows."""
    known = list(output.categories or ())
    kept = sorted(known, key=lambda label: -truth.count(label))[:MOST_CLASSES]
    return sorted(
        kept, key=lambda label: (not label.isdigit(), int(label) if label.isdigit() else 0, label)
    )


def _long(labels: Sequence[str]) -> bool:
    return max(map(len, labels)) > 3  # noqa: PLR2004 - longer words run into each other
