"""Each column's distribution in the reference and in the window, coarse enough to draw."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from modelyard.monitoring.drift import Pair, pairs
from modelyard.monitoring.statistics import Numbers

BARS: Final = 12
BINS: Final = 24
# Beyond these shares of the values a bin at the edge collects, so that one outlier hides nothing.
TAIL: Final = 0.005


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


def distributions(reference: pd.DataFrame, live: pd.DataFrame) -> dict[str, Distribution]:
    """Return the distribution of each column of the reference that has a value anywhere."""
    found = (_distribution(pair) for pair in pairs(reference, live))
    return {one.column: one for one in found if one is not None}


def _distribution(pair: Pair) -> Distribution | None:
    if not len(pair.reference) + len(pair.live):
        return None
    if pair.number and len(np.unique(np.concatenate([pair.reference, pair.live]))) > BARS:
        return _binned(pair, pair.reference, pair.live)
    return _labelled(pair)


def _labelled(pair: Pair) -> Distribution:
    counts = pair.counts()
    both = counts[0] + counts[1]
    order = sorted(both, key=lambda value: (-both[value], value))
    shown = sorted(order[:BARS]) if pair.number else order[:BARS]
    labels = [f"{value:g}" if pair.number else value for value in shown]
    sides = [[side[value] for value in shown] for side in counts]
    if len(order) > BARS:
        labels.append(f"{len(order) - BARS} others")
        sides = [
            [*bars, side.total() - sum(bars)] for bars, side in zip(sides, counts, strict=True)
        ]
    reference, live = (_shares(np.array(side)) for side in sides)
    return Distribution(
        column=pair.column, edges=None, labels=tuple(labels), reference=reference, live=live
    )


def _binned(pair: Pair, reference: Numbers, live: Numbers) -> Distribution:
    # Each side's own tails: a window far away from the reference must stay in the picture.
    tails = [np.quantile(side, [TAIL, 1 - TAIL]) for side in (reference, live) if len(side)]
    low, high = min(tail[0] for tail in tails), max(tail[1] for tail in tails)
    if not high > low:
        values = np.concatenate([reference, live])
        low, high = values.min(), values.max()
    edges = np.linspace(low, high, BINS + 1)
    shares = [_shares(np.bincount(_bin(side, edges), minlength=BINS)) for side in (reference, live)]
    return Distribution(
        column=pair.column,
        edges=tuple(float(edge) for edge in edges),
        labels=None,
        reference=shares[0],
        live=shares[1],
    )


def _bin(values: Numbers, edges: Numbers) -> np.ndarray:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _shares(counts: np.ndarray) -> tuple[float, ...]:
    total = counts.sum()
    return tuple(float(count) for count in counts / total) if total else (0.0,) * len(counts)
