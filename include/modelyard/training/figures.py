"""The look of all plots: ink, colours, and figures without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#cbd2d9"
COLOURS = {"train": "#2563eb", "validation": "#ea580c", "test": "#16a34a"}
DPI = 120
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


def new_figure(columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure without pyplot, which keeps figures alive and picks a screen's backend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, columns, number + 1) for number in range(columns)]


def save(figure: Figure, file: Path) -> Path:
    """Write a PNG; equal runs make equal files, so it names no version of the software."""
    figure.savefig(file, dpi=DPI, metadata={"Software": None})
    return file


def whole_numbers(axis: Axes) -> None:
    """Let the axis of epochs have no half ones."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
