"""How often chance alone comes as far: exact p-values for any statistic of counts.

Given what both samples together hold, a window without drift is a draw without replacement from
it. So the p-value of any statistic of the window's counts is its tail in a (multivariate)
hypergeometric distribution: Fisher's exact test (1935) for two categories, a permutation test
(Pitman 1937) for more. Nothing is assumed of the distribution or of the statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy import special

from modelyard.monitoring.statistics.samples import Counts, Numbers

type Statistic = Callable[[Counts, Counts], np.ndarray]
"""From counts of the reference and of the window, categories last; larger is further away."""

# So many draws, and how many of them as far are enough to stop there. With the last p = 0.00005
# can be said at best: enough for a thousand columns at alpha 0.05.
ROUNDS: Final = ((200, 40), (1_000, 50), (5_000, 50), (20_000, 0))
PAIR: Final = 2
# Rounding must not make the same counts look less far than themselves.
ROUNDING: Final = 1 - 1e-9


def by_chance(statistic: Statistic, reference: Counts, live: Counts) -> float:
    """Return how often a draw from both samples is as far by `statistic` as `live` is.

    Two categories are summed up exactly. More are drawn: 200 times, and anew up to 20,000 times
    the rarer it is that a draw comes as far; then p is (1 + as far) / (1 + draws), which is never
    too small on average (Phipson and Smyth 2010). The same counts give the same p-value.
    """
    totals, rows = reference + live, int(live.sum())
    found = float(statistic(reference, live)) * ROUNDING
    if len(totals) == PAIR:
        return _pair(statistic, totals, rows, found)
    random = np.random.default_rng([int(totals.sum()), rows])
    for size, enough in ROUNDS:
        drawn = random.multivariate_hypergeometric(totals, rows, size=size, method="marginals")
        as_far = int((statistic(totals - drawn, drawn) >= found).sum())
        if as_far >= enough:
            break
    return (1 + as_far) / (1 + size)


def _pair(statistic: Statistic, totals: Counts, rows: int, found: float) -> float:
    """Sum up the hypergeometric probabilities of all windows that are as far."""
    first, second = (int(total) for total in totals)
    hits = np.arange(max(0, rows - second), min(first, rows) + 1)
    windows = np.stack([hits, rows - hits], axis=-1)
    as_far = statistic(totals - windows, windows) >= found
    logs = _log_choose(first, hits[as_far]) + _log_choose(second, rows - hits[as_far])
    logs -= _log_choose(first + second, np.array([rows]))
    return float(min(1.0, np.exp(logs).sum()))


def _log_choose(of: int, some: np.ndarray) -> Numbers:
    logs: Numbers = special.gammaln(of + 1) - special.gammaln(some + 1)
    logs -= special.gammaln(of - some + 1)
    return logs
