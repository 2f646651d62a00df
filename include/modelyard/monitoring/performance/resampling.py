"""Chance by drawing again: bootstrap intervals and permutation tests, with a fixed seed and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

type Floats = npt.NDArray[np.float64]
type Counts = npt.NDArray[np.int64]
type Statistic = Callable[[npt.NDArray[Any]], Floats]
"""From sums or counts, [draws, ...], to one figure a draw."""

SEED: Final = 0
INTERVAL_DRAWS: Final = 500
TEST_DRAWS: Final = 2_000
LEVEL: Final = 0.95
# Of more rows a permutation says no more, and each draw would cost as much as all of them.
MOST_ROWS: Final = 20_000
# Numbers that are drawn at once; more would not fit into a cache.
AT_ONCE: Final = 2_000_000


def interval_of_counts(counts: Counts, statistic: Statistic) -> tuple[float, float]:
    """Bootstrap a statistic of counted rows (Efron 1979): the middle 95 % of 500 draws.

    The draws are moved to where the sample's own value is in their middle: a calibration error of
    rows that were drawn twice is larger than that of the sample.
    """
    random, rows = np.random.default_rng(SEED), int(counts.sum())
    drawn = [
        statistic(random.multinomial(rows, counts / rows, size=size))
        for size in _portions(INTERVAL_DRAWS, len(counts))
    ]
    return _middle(np.concatenate(drawn), float(statistic(counts[None])[0]))


def interval_of_sums(features: Floats, statistic: Statistic) -> tuple[float, float]:
    """Do the same with a statistic of sums over rows, [rows, sums]."""
    random, rows = np.random.default_rng(SEED), len(features)
    sums = np.array(
        [features[random.integers(0, rows, rows)].sum(axis=0) for _ in range(INTERVAL_DRAWS)]
    )
    return _middle(statistic(sums), float(statistic(features.sum(axis=0)[None])[0]))


def chance_of_counts(base: Counts, live: Counts, statistic: Statistic, *, low: bool) -> float:
    """Return how often rows dealt anew to both samples differ as much (Pitman 1937).

    Args:
        base: Counted rows of the one sample.
        live: The same of the other.
        statistic: Computed of each.
        low: Whether a low `live` counts, or a high one.
    """
    random, totals, rows = np.random.default_rng(SEED), base + live, int(live.sum())
    found = _gap(statistic, base[None], live[None], low=low)[0]
    as_far = 0
    for size in _portions(TEST_DRAWS, len(totals)):
        drawn = random.multivariate_hypergeometric(totals, rows, size=size, method="marginals")
        as_far += _as_far(_gap(statistic, totals - drawn, drawn, low=low), found)
    return (1 + as_far) / (1 + TEST_DRAWS)


def chance_of_sums(base: Floats, live: Floats, statistic: Statistic, *, low: bool) -> float:
    """Do the same with sums over rows; of more than 20,000 rows on a side so many are drawn."""
    random = np.random.default_rng(SEED)
    base, live = (
        side if len(side) <= MOST_ROWS else random.permuted(side, axis=0)[:MOST_ROWS]
        for side in (base, live)
    )
    found = _gap(statistic, base.sum(axis=0)[None], live.sum(axis=0)[None], low=low)[0]
    both, rows, draws = np.concatenate([base, live]), len(live), INTERVAL_DRAWS
    total = both.sum(axis=0)
    drawn = np.array([both[random.permutation(len(both))[:rows]].sum(axis=0) for _ in range(draws)])
    as_far = _as_far(_gap(statistic, total - drawn, drawn, low=low), found)
    return (1 + as_far) / (1 + draws)


def _gap(
    statistic: Statistic, base: npt.NDArray[Any], live: npt.NDArray[Any], *, low: bool
) -> Floats:
    gap = statistic(base) - statistic(live)
    return gap if low else -gap


def _as_far(gaps: Floats, found: float) -> int:
    # Rounding must not make the same rows look less far than themselves.
    return int((gaps >= found - 1e-12).sum())


def _portions(draws: int, width: int) -> Iterator[int]:
    size = max(1, min(draws, AT_ONCE // max(width, 1)))
    for start in range(0, draws, size):
        yield min(size, draws - start)


def _middle(drawn: Floats, value: float) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail]) - (np.nanmean(drawn) - value)
    return float(low), float(high)
