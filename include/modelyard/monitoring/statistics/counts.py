"""Tests of counts: chi-square, and any divergence with the p-value that chance gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from modelyard.monitoring.statistics import divergences
from modelyard.monitoring.statistics.chance import Statistic, by_chance
from modelyard.monitoring.statistics.samples import (
    HELLINGER,
    JENSEN_SHANNON,
    KULLBACK_LEIBLER,
    PSI,
    VARIATION,
    Counts,
    Tested,
)

CHI_SQUARE: Final = "two-sample chi-square"
# The chi-square distribution is good from here on (Cochran 1954); below, chance itself is asked.
EXPECTED: Final = 5.0
# Far out in its tail it says too little with fewer than this (up to 1.7 times, by simulation), and
# a hundred columns look there: what it calls rare is left to chance too.
PLENTY: Final = 50.0
RARE: Final = 0.05
PAIR: Final = 2


class Divergence(NamedTuple):
    """A measure that can be tested: what it is called, and how it is computed."""

    name: str
    measure: Statistic


DIVERGENCES: Final[Mapping[str, Divergence]] = {
    "psi": Divergence(PSI, divergences.psi),
    "jensen-shannon": Divergence(JENSEN_SHANNON, divergences.jensen_shannon),
    "kl": Divergence(KULLBACK_LEIBLER, divergences.kullback_leibler),
    "hellinger": Divergence(HELLINGER, divergences.hellinger),
}


def chi_square(reference: Counts, live: Counts) -> Tested:
    """Compare counts of the same two or more categories, each of which occurs in either sample.

    Pearson's test of homogeneity (1900): both samples count as drawn by chance. The p-value is
    that of the permutation test for two categories, where fewer than 5 rows of a category are
    expected on a side, and, if it is small, where fewer than 50 are. The effect is the total
    variation.
    """
    totals = reference + live
    share = live.sum() / totals.sum()
    statistic = float(chi_statistic(reference, live))
    expected = float(totals.min() * min(share, 1 - share))
    p_value = float(special.chdtrc(len(totals) - 1, statistic))
    few = len(totals) == PAIR or expected < EXPECTED
    if few or (expected < PLENTY and p_value <= RARE):
        p_value = by_chance(chi_statistic, reference, live)
    effect = float(divergences.total_variation(reference, live))
    return Tested(CHI_SQUARE, statistic, p_value, effect, VARIATION)


def chi_statistic(reference: Counts, live: Counts) -> np.ndarray:
    """Return Pearson's statistic of both samples; categories are last."""
    totals = reference + live
    share = live.sum(axis=-1, keepdims=True) / totals.sum(axis=-1, keepdims=True)
    expected = totals * share
    distance = np.square(live - expected) / expected
    return np.asarray((distance / (1 - share)).sum(axis=-1))


def divergence(name: str, reference: Counts, live: Counts) -> Tested:
    """Test a divergence of counts: it is the statistic and the effect, p is that of chance.

    `name` is as in `monitor.tests`: psi, jensen-shannon, kl or hellinger.
    """
    known = DIVERGENCES[name]
    found = float(known.measure(reference, live))
    p_value = by_chance(known.measure, reference, live)
    return Tested(f"permutation test of the {known.name}", found, p_value, found, known.name)


def category_test(name: str, reference: Counts, live: Counts) -> Tested:
    """Compare categories by the test that `monitor.tests.category` names."""
    if name == "chi-square":
        return chi_square(reference, live)
    return divergence(name, reference, live)
