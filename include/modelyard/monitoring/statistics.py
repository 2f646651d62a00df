"""Two-sample tests, effect sizes and corrections, on plain arrays.

Both samples count as drawn by chance. A test that takes the reference as exact, as whylogs' own
chi-square does, calls a third of windows without drift drifted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import special

type Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
type Counts = np.ndarray[tuple[int], np.dtype[np.int64]]

# The chi-square distribution is good from here on; below, chance itself is simulated, which can
# say p = 0.00005 at best: enough for a thousand columns at alpha 0.05.
EXPECTED: Final = 5.0
DRAWS: Final = 20_000
GLANCE: Final = 1_000
ENOUGH: Final = 50
BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Tested:
    """The answer of one test."""

    statistic: float
    p_value: float


def ks(reference: Numbers, live: Numbers) -> Tested:
    """Compare numbers by Kolmogorov and Smirnov; the statistic is also the effect size.

    The p-value is the limit distribution's, which errs on the careful side for small samples and
    for ties.
    """
    first, second = np.sort(reference), np.sort(live)
    points = np.concatenate([first, second])
    below_first = np.searchsorted(first, points, side="right") / len(first)
    below_second = np.searchsorted(second, points, side="right") / len(second)
    distance = float(np.abs(below_first - below_second).max())
    effective = len(first) * len(second) / (len(first) + len(second))
    return Tested(distance, float(special.kolmogorov(math.sqrt(effective) * distance)))


def chi_square(reference: Counts, live: Counts) -> Tested:
    """Compare counts of the same two or more categories, each of which occurs in either sample."""
    totals = reference + live
    share = live.sum() / totals.sum()
    statistic = float(_chi_statistic(live, totals, share))
    if totals.min() * min(share, 1 - share) >= EXPECTED:
        return Tested(statistic, float(special.chdtrc(len(totals) - 1, statistic)))
    return Tested(statistic, _simulated(statistic, totals, int(live.sum())))


def _simulated(statistic: float, totals: Counts, rows: int) -> float:
    """Return how often chance alone comes as far, more exactly the rarer it is.

    Given the totals, a window without drift is a draw without replacement from both samples.
    """
    random = np.random.default_rng(int(totals.sum()))
    for size in (GLANCE, DRAWS):
        draws = random.multivariate_hypergeometric(totals, rows, size=size, method="marginals")
        found = _chi_statistic(draws, totals, rows / totals.sum())
        as_far = int((found >= statistic * (1 - 1e-9)).sum())
        if as_far >= ENOUGH:
            break
    return (1 + as_far) / (1 + size)


def _chi_statistic(live: np.ndarray, totals: Counts, share: float) -> np.ndarray:
    expected = totals * share
    distance = np.square(live - expected) / expected
    return np.asarray(distance.sum(axis=-1) / (1 - share))


def total_variation(reference: Counts, live: Counts) -> float:
    """Return the largest difference that any set of categories has in its share, 0 to 1."""
    return float(np.abs(reference / reference.sum() - live / live.sum()).sum() / 2)


def psi(reference: Counts, live: Counts) -> float:
    """Return the population stability index; half a row more a bin keeps empty ones finite."""
    first = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    second = (live + 0.5) / (live.sum() + 0.5 * len(live))
    return float(((second - first) * np.log(second / first)).sum())


def jensen_shannon(reference: Counts, live: Counts) -> float:
    """Return the Jensen-Shannon divergence in bits, 0 to 1."""
    first, second = reference / reference.sum(), live / live.sum()
    middle = (first + second) / 2
    both = special.rel_entr(first, middle).sum() + special.rel_entr(second, middle).sum()
    return max(0.0, float(both / (2 * math.log(2))))


def binned(reference: Numbers, live: Numbers) -> tuple[Counts, Counts]:
    """Count numbers in bins that hold about equally many of the reference."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    first, second = (
        np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)
        for sample in (reference, live)
    )
    filled = (first + second) > 0
    return first[filled], second[filled]


def correct(
    p_values: list[float], method: Literal["benjamini-hochberg", "bonferroni"]
) -> list[float]:
    """Correct p-values of one window for how many they are; compare them with alpha as usual."""
    if not p_values:
        return []
    given = np.asarray(p_values)
    if method == "bonferroni":
        return [float(p) for p in np.minimum(given * len(given), 1.0)]
    order = np.argsort(given)[::-1]
    ranks = np.arange(len(given), 0, -1)
    stepped = np.minimum.accumulate(given[order] * len(given) / ranks)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]
