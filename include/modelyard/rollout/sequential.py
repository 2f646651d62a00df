"""Tests on counts that hold however often one looks: evidence in e-values, and bounds made of it.

An e-value's expectation is at most 1 as long as the hypothesis that it speaks against is true, at
any moment that one may choose to look. By Ville's inequality the chance that it ever reaches
1/alpha is then at most alpha: so one may look after every request, and stop when one likes.

The evidence of one arm is a mixture of likelihood ratios (Robbins 1970, "Statistical methods
related to the law of the iterated logarithm") over the rates on one side of the tested one, with
a Beta(1/2, 1/2) density cut off there: the one-sided beta-binomial mixture of Howard, Ramdas,
McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
Annals of Statistics 49(2). Two arms are brought together by the least favourable common rate, as
in Turner, Ly and Grunwald 2024, "Generic E-variables for exact sequential k-sample tests that
allow for optional stopping", and Ramdas, Grunwald, Vovk and Shafer 2023, "Game-theoretic
statistics and safe anytime-valid inference".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln, xlog1py, xlogy

type Floats = NDArray[np.float64]

HALF = 0.5
STAKE, REFERENCE_STAKE = 0.9, 0.5
"""The part that is bet, on the challenger and on the champion: what is kept back bounds the loss.

Most is learned of the arm that has less traffic. The cost is log(1/0.9) = 0.1 and log(1/0.5) = 0.7;
chosen by the requests that are needed at shares of 5, 25 and 50 % (docs/rollout.md).
"""
GRID = 96
FARTHEST = 15.0
"""The grid's ends in log-odds: a rate of 3 in 10 million."""
NARROWINGS, INNER = 3, 33
BISECTIONS = 18


@dataclass(frozen=True, slots=True)
class Count:
    """How often something could have happened to one arm, and how often it did."""

    trials: int = 0
    hits: int = 0

    @property
    def rate(self) -> float | None:
        """The share of hits; None without trials."""
        return self.hits / self.trials if self.trials else None


def log_e_above(
    rate: ArrayLike, trials: ArrayLike, hits: ArrayLike, stake: float = STAKE
) -> Floats:
    """The logarithm of the evidence against "hits are no more frequent than `rate`"; broadcasts."""
    p, n, h = (np.asarray(value, dtype=float) for value in (rate, trials, hits))
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = xlogy(h, p) + xlog1py(n - h, -p)
        mixed = betaln(h + HALF, n - h + HALF) + np.log(betaincc(h + HALF, n - h + HALF, p))
        prior = np.log(np.pi * betaincc(HALF, HALF, p))
        won = mixed - prior - likelihood
    # At rate 1 nothing lies above; at rate 0 one hit refutes for good.
    won = np.where(np.isnan(won) | (p >= 1), -np.inf, won)
    kept: Floats = np.logaddexp(np.log1p(-stake), np.log(stake) + won)
    return kept


def log_e_below(
    rate: ArrayLike, trials: ArrayLike, hits: ArrayLike, stake: float = STAKE
) -> Floats:
    """The logarithm of the evidence against "hits are no rarer than `rate`"; broadcasts."""
    n = np.asarray(trials, dtype=float)
    misses = n - np.asarray(hits, dtype=float)
    return log_e_above(1 - np.asarray(rate, dtype=float), n, misses, stake)


def log_e_worse(
    champion: Count, challenger: Count, margin: float = 0.0, *, paired: bool = False
) -> float:
    """The logarithm of the evidence against "the challenger's rate is at most the champion's + margin".

    Args:
        champion: Counts of the arm that is compared with.
        challenger: Counts of the arm that is suspected.
        margin: What the challenger may be worse by, -1 to 1.
        paired: Whether both arms answered the same requests, so that they are not independent:
            the two evidences are then averaged instead of multiplied.
    """

    def evidence(rate: Floats) -> Floats:
        moved = np.clip(rate + margin, 0, 1)
        suspect = log_e_above(moved, challenger.trials, challenger.hits)
        other = log_e_below(rate, champion.trials, champion.hits, REFERENCE_STAKE)
        return _combined(suspect, other, paired=paired)

    return _least(evidence, max(0.0, -margin), min(1.0, 1.0 - margin))


def log_e_better(
    champion: Count, challenger: Count, margin: float = 0.0, *, paired: bool = False
) -> float:
    """The logarithm of the evidence against "the challenger's rate is at least the champion's + margin"."""

    def evidence(rate: Floats) -> Floats:
        moved = np.clip(rate + margin, 0, 1)
        suspect = log_e_below(moved, challenger.trials, challenger.hits)
        other = log_e_above(rate, champion.trials, champion.hits, REFERENCE_STAKE)
        return _combined(suspect, other, paired=paired)

    return _least(evidence, max(0.0, -margin), min(1.0, 1.0 - margin))


def _combined(one: Floats, other: Floats, *, paired: bool) -> Floats:
    return np.logaddexp(one, other) - np.log(2) if paired else one + other


def difference(
    champion: Count, challenger: Count, alpha: float, *, paired: bool = False
) -> tuple[float, float]:
    """Bound the challenger's rate minus the champion's; each bound is ever wrong with chance alpha at most."""
    needed = float(np.log(1 / alpha))

    def above(margin: float) -> bool:
        return log_e_worse(champion, challenger, margin, paired=paired) >= needed

    def below(negated: float) -> bool:
        return log_e_better(champion, challenger, -negated, paired=paired) >= needed

    return _boundary(above, -1.0, 1.0), -_boundary(below, -1.0, 1.0)


def rate_bounds(count: Count, alpha: float) -> tuple[float, float]:
    """Bound one arm's rate; each bound is ever wrong with chance alpha at most."""
    needed = float(np.log(1 / alpha))
    low = _boundary(lambda p: bool(log_e_above(p, count.trials, count.hits) >= needed), 0.0, 1.0)
    high = _boundary(
        lambda q: bool(log_e_below(1 - q, count.trials, count.hits) >= needed), 0.0, 1.0
    )
    return low, 1 - high


def _boundary(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Find where what holds below holds no more; `low` if it holds nowhere."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _least(evidence: Callable[[Floats], Floats], lowest: float, highest: float) -> float:
    """Minimise over the unknown rate: a coarse grid in log-odds, then narrowed around its best."""
    unit = 1 / (1 + np.exp(-np.linspace(-FARTHEST, FARTHEST, GRID)))
    grid = lowest + (highest - lowest) * np.concatenate(([0.0], unit, [1.0]))
    values = evidence(grid)
    best = int(np.argmin(values))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    least = float(values[best])
    for _ in range(NARROWINGS):
        inner = np.linspace(left, right, INNER)
        values = evidence(inner)
        best = int(np.argmin(values))
        least = min(least, float(values[best]))
        left, right = inner[max(best - 1, 0)], inner[min(best + 1, INNER - 1)]
    return least
