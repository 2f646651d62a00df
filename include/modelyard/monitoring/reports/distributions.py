"""Each column's distribution in the reference and in the window, coarse enough to draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from modelyard.monitoring.columns import counted, is_number, numbers, words
from modelyard.monitoring.observe import is_identity

if TYPE_CHECKING:
    from modelyard.monitoring.profile import ColumnSketch

type Numbers = np.ndarray[Any, np.dtype[np.float64]]
type Counts = Mapping[str, float]
type Frames = tuple[pd.DataFrame, pd.DataFrame]

BARS: Final = 12
BINS: Final = 24
# Beyond these shares of the values a bin at the edge collects, so that one outlier hides nothing.
TAIL: Final = 0.005
NOT_DRAWN: Final = ("embedding.", "truth.", "probabilities.")


class Distribution(BaseModel):
    """Shares of the values in the same bins or categories on both sides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="The observed column.")
    edges: tuple[float, ...] | None = Field(
        description="Bin borders, one more than bins; the outer bins take all beyond. Null: labels."
    )
    labels: tuple[str, ...] | None = Field(description="Values; null where there are edges.")
    reference: tuple[float, ...] = Field(description="Shares in the reference.")
    live: tuple[float, ...] = Field(description="Shares in the window.")


def distributions(
    reference: pd.DataFrame, live: pd.DataFrame, outputs: Frames | None = None
) -> dict[str, Distribution]:
    """Return the distribution of each column of the reference that has a value anywhere.

    `outputs` are the columns of the model's own outputs, of the reference and of the window.
    Identities and embeddings have none.
    """
    frames = [(reference, live)] if outputs is None else [(reference, live), outputs]
    return _by_column(
        _distribution(str(name), known[name], seen.get(name))
        for known, seen in frames
        for name in known.columns
        if is_drawn(str(name)) and (known is reference or name in seen)
    )


def sketched(
    reference: Mapping[str, ColumnSketch], live: Mapping[str, ColumnSketch]
) -> dict[str, Distribution]:
    """Return the same from sketches, of columns that both sides have as numbers or as words."""
    return _by_column(
        _from_sketches(name, known, live[name])
        for name, known in reference.items()
        if name in live and is_drawn(name)
    )


def is_drawn(column: str) -> bool:
    """Whether a column's distribution says something to a reader."""
    output = column.startswith(("predicted.", "probability."))
    return not is_identity(column) and (output or not column.startswith(NOT_DRAWN))


def _by_column(found: Iterable[Distribution | None]) -> dict[str, Distribution]:
    return {one.column: one for one in found if one is not None}


def _distribution(name: str, known: pd.Series, seen: pd.Series | None) -> Distribution | None:
    seen = pd.Series([], dtype="object") if seen is None else seen
    if is_number(known):
        return _of_numbers(name, numbers(known), numbers(seen))
    return _labelled(name, counted(words(known)), counted(words(seen)))


def _of_numbers(name: str, reference: Numbers, live: Numbers) -> Distribution | None:
    values, places = np.unique(np.concatenate([reference, live]), return_inverse=True)
    if not len(values):
        return None
    if len(values) > BARS:
        return _binned(name, reference, live)
    sides = np.split(places, [len(reference)])
    shares = [_shares(np.bincount(side, minlength=len(values))) for side in sides]
    labels = tuple(f"{value:g}" for value in values)
    return Distribution(column=name, edges=None, labels=labels, reference=shares[0], live=shares[1])


def _labelled(name: str, reference: Counts, live: Counts) -> Distribution | None:
    both = Counter(reference) + Counter(live)
    order = sorted(both, key=lambda value: (-both[value], value))
    if not order:
        return None
    labels = order[:BARS]
    sides = [[float(side.get(value, 0)) for value in labels] for side in (reference, live)]
    if len(order) > BARS:
        labels.append(f"{len(order) - BARS} others")
        sides = [
            [*bars, sum(side.values()) - sum(bars)]
            for bars, side in zip(sides, (reference, live), strict=True)
        ]
    first, second = (_shares(np.array(side)) for side in sides)
    return Distribution(column=name, edges=None, labels=tuple(labels), reference=first, live=second)


def _binned(name: str, reference: Numbers, live: Numbers) -> Distribution:
    # Each side's own tails: a window far away from the reference must stay in the picture.
    tails = [np.quantile(side, [TAIL, 1 - TAIL]) for side in (reference, live) if len(side)]
    low, high = min(tail[0] for tail in tails), max(tail[1] for tail in tails)
    if not high > low:
        values = np.concatenate([reference, live])
        low, high = values.min(), values.max()
    edges = np.linspace(low, high, BINS + 1)
    shares = [_shares(np.bincount(_bin(side, edges), minlength=BINS)) for side in (reference, live)]
    return _between(name, edges, shares[0], shares[1])


def _from_sketches(name: str, known: ColumnSketch, seen: ColumnSketch) -> Distribution | None:
    if known.frequencies is not None and seen.frequencies is not None and known.quantiles is None:
        return _labelled(name, known.frequencies, seen.frequencies)
    sides = [
        (one.cdf, one.quantiles)
        for one in (known, seen)
        if one.cdf is not None and one.quantiles is not None
    ]
    if len(sides) < 2:  # noqa: PLR2004 - both sides
        return None
    tails = [quantiles(np.array([TAIL, 1 - TAIL])) for _, quantiles in sides]
    low, high = min(tail[0] for tail in tails), max(tail[1] for tail in tails)
    if not high > low:
        return _labelled(name, {f"{low:g}": 1}, {f"{low:g}": 1})
    edges = np.linspace(low, high, BINS + 1)
    first, second = (_shares(_steps(cdf(edges[1:-1]))) for cdf, _ in sides)
    return _between(name, edges, first, second)


def _steps(below: Numbers) -> Numbers:
    """Return the share of each bin, the outer ones taking all beyond."""
    return np.clip(np.diff(below, prepend=0.0, append=1.0), 0.0, 1.0)


def _between(
    name: str, edges: Numbers, reference: tuple[float, ...], live: tuple[float, ...]
) -> Distribution:
    return Distribution(
        column=name,
        edges=tuple(float(edge) for edge in edges),
        labels=None,
        reference=reference,
        live=live,
    )


def _bin(values: Numbers, edges: Numbers) -> np.ndarray:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _shares(counts: np.ndarray) -> tuple[float, ...]:
    total = counts.sum()
    return tuple(float(count) for count in counts / total) if total else (0.0,) * len(counts)
