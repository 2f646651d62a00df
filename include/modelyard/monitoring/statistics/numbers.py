"""Tests of numbers: Kolmogorov-Smirnov, mean shift, Wasserstein, and divergences over bins."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from scipy import special

from modelyard.monitoring.statistics.chance import by_chance
from modelyard.monitoring.statistics.counts import divergence
from modelyard.monitoring.statistics.samples import (
    DISTANCE,
    STANDARDISED,
    TRANSPORT,
    Counts,
    Numbers,
    Sizes,
    Tested,
)

KS: Final = "two-sample Kolmogorov-Smirnov"
MEANS: Final = "Welch's test of the means"
WASSERSTEIN: Final = "permutation test of the Wasserstein distance"
BINS: Final = 10
# The square of a larger ratio of deviations, squared again, is no number any more.
WIDEST: Final = 1e75
FINE_BINS: Final = 50
# With so few different values the limit distribution of KS is far too careful: chance is asked.
FEW_VALUES: Final = 20


def ks(reference: Numbers, live: Numbers, sizes: Sizes | None = None) -> Tested:
    """Compare numbers by Kolmogorov and Smirnov; the statistic is also the effect size, 0 to 1.

    The p-value is the limit distribution's (Smirnov 1939), which errs on the careful side for
    small samples and for ties (Conover 1999, section 6.3). Where there are at most 20 different
    values it is that of the permutation test.
    """
    rows = sizes or Sizes(len(reference), len(live))
    first, second = in_order(reference), in_order(live)
    points = _few(first, second)
    if points is not None:
        return _ks_of_few(_at(points, first), _at(points, second), rows)
    distance = max(_furthest(first, second), _furthest(second, first))
    p_value = float(special.kolmogorov(math.sqrt(rows.effective) * distance))
    return Tested(KS, distance, p_value, distance, DISTANCE)


def _furthest(points: Numbers, other: Numbers) -> float:
    """Return the largest distance of both distributions at the sorted values of one sample."""
    last = np.append(points[1:] != points[:-1], True)
    own = np.arange(1, len(points) + 1)[last] / len(points)
    others = np.searchsorted(other, points[last], side="right") / len(other)
    return float(np.abs(own - others).max())


def _few(first: Numbers, second: Numbers) -> Numbers | None:
    """Return the different values of two sorted samples if they are few."""
    found = []
    for side in (first, second):
        steps = side[1:] != side[:-1]
        if int(steps.sum()) >= FEW_VALUES:
            return None
        found.append(side[np.append(True, steps)])
    points = np.unique(np.concatenate(found))
    return points if len(points) <= FEW_VALUES else None


def _at(points: Numbers, ordered: Numbers) -> Counts:
    """Count how often each point is in a sorted sample."""
    ends = np.searchsorted(ordered, points, side="right")
    return np.asarray(np.diff(ends, prepend=0), dtype="int64")


def _ks_of_few(reference: Counts, live: Counts, rows: Sizes) -> Tested:
    reference, live = scaled(reference, rows.reference), scaled(live, rows.live)
    distance = float(_ks_statistic(reference, live))
    p_value = by_chance(_ks_statistic, reference, live) if len(reference) > 1 else 1.0
    return Tested(KS, distance, p_value, distance, DISTANCE)


def _ks_statistic(reference: Counts, live: Counts) -> np.ndarray:
    first, second = (
        np.cumsum(side, axis=-1) / side.sum(axis=-1, keepdims=True) for side in (reference, live)
    )
    return np.asarray(np.abs(first - second).max(axis=-1))


def in_order(values: Numbers) -> Numbers:
    """Sort; next to nothing where the values are in order."""
    return np.asarray(np.sort(values, kind="stable"))


def deviation_of(sample: Numbers) -> float:
    """Return the standard deviation (n - 1); of equal numbers exactly 0, without rounding."""
    return float(sample.std(ddof=1)) if sample.min() < sample.max() else 0.0


def mean_shift(reference: Numbers, live: Numbers) -> float:
    """Return by how many standard deviations of the reference the mean moved.

    Glass's delta (1976); 0 where the reference is constant.
    """
    reference, live = _small(reference, live)
    deviation = deviation_of(reference)
    return float(live.mean() - reference.mean()) / deviation if deviation else 0.0


@dataclass(frozen=True, slots=True)
class Moments:
    """How many numbers there are, their mean, and their standard deviation (n - 1)."""

    rows: int
    mean: float
    deviation: float

    @classmethod
    def of(cls, sample: Numbers) -> Self:
        """Return those of a sample."""
        return cls(len(sample), float(sample.mean()), float(sample.std(ddof=1)))


def means(reference: Numbers, live: Numbers, sizes: Sizes | None = None) -> Tested:
    """Compare the means of two samples, as `welch` does."""
    reference, live = _small(reference, live)
    found = [Moments.of(side) for side in (reference, live)]
    if sizes is not None:
        found = [
            replace(moments, rows=rows)
            for moments, rows in zip(found, (sizes.reference, sizes.live), strict=True)
        ]
    return welch(*found)


def welch(reference: Moments, live: Moments) -> Tested:
    """Compare means: the difference in units of its standard error, two-sided.

    A Z score whose variances are estimated on each side, so that p comes from Student's t with
    Welch's degrees of freedom (1947), which is the normal distribution for large windows. The
    effect is the difference in standard deviations of the reference, without its sign: Glass's
    delta (1976). The reference must not be constant.
    """
    first = 1 / reference.rows
    ratio = min(live.deviation / reference.deviation, WIDEST)
    second = ratio**2 / live.rows
    shift = (live.mean - reference.mean) / reference.deviation
    score = shift / math.sqrt(first + second)
    freedom = (first + second) ** 2
    freedom /= first**2 / (reference.rows - 1) + second**2 / (live.rows - 1)
    p_value = float(2 * special.stdtr(freedom, -abs(score)))
    return Tested(MEANS, score, p_value, abs(shift), STANDARDISED)


def _small(*samples: Numbers) -> list[Numbers]:
    """Bring numbers to a size whose squares are finite."""
    largest = max((float(np.abs(sample).max()) for sample in samples if len(sample)), default=1.0)
    return [sample / largest for sample in samples] if largest else list(samples)


def wasserstein_distance(reference: Numbers, live: Numbers) -> float:
    """Return how far the window's mass moved, in standard deviations of the reference.

    The area between both distribution functions: Vallender 1974. 0 where the reference is constant.
    """
    reference, live = _small(reference, live)
    deviation = deviation_of(reference)
    if not deviation:
        return 0.0
    first, second = in_order(reference), in_order(live)
    points = in_order(np.concatenate([first, second]))
    below = [
        np.searchsorted(side, points[:-1], side="right") / len(side) for side in (first, second)
    ]
    return float((np.abs(below[0] - below[1]) * np.diff(points)).sum()) / deviation


def wasserstein(reference: Numbers, live: Numbers, sizes: Sizes | None = None) -> Tested:
    """Test the Wasserstein distance; its p-value is that of chance over 50 bins.

    The effect is the distance itself, in standard deviations of the reference.
    """
    rows = sizes or Sizes(len(reference), len(live))
    effect = wasserstein_distance(reference, live)
    edges = edges_of(reference, live, rows, FINE_BINS)
    counts = [_binned(side, edges) for side in (reference, live)]
    both = np.concatenate(_small(reference, live))
    place = np.searchsorted(edges, np.concatenate([reference, live]), side="left")
    filled = (counts[0] + counts[1]) > 0
    sums = np.bincount(place, weights=both, minlength=len(filled))[filled]
    gaps = np.diff(sums / (counts[0] + counts[1])[filled])

    def area(first: Counts, second: Counts) -> np.ndarray:
        between = [
            np.cumsum(side, axis=-1)[..., :-1] / side.sum(axis=-1, keepdims=True)
            for side in (first, second)
        ]
        return np.asarray((np.abs(between[0] - between[1]) * gaps).sum(axis=-1))

    known = scaled(counts[0][filled], rows.reference)
    seen = scaled(counts[1][filled], rows.live)
    p_value = by_chance(area, known, seen) if len(gaps) else 1.0
    return Tested(WASSERSTEIN, effect, p_value, effect, TRANSPORT)


def edges_of(reference: Numbers, live: Numbers, rows: Sizes, bins: int) -> Numbers:
    """Return borders between bins that hold about equally much of both samples together.

    Borders that follow from both samples alike favour neither, so that a test over the bins keeps
    its promise.
    """
    both = np.concatenate([reference, live])
    wanted = np.linspace(0, 1, bins + 1)[1:-1]
    if (rows.reference, rows.live) == (len(reference), len(live)):
        return np.asarray(np.unique(np.quantile(both, wanted, method="inverted_cdf")))
    order = np.argsort(both)
    weights = np.repeat(
        [rows.reference / len(reference), rows.live / len(live)], [len(reference), len(live)]
    )
    upto = np.cumsum(weights[order])
    places = np.searchsorted(upto, wanted * upto[-1]).clip(max=len(both) - 1)
    return np.asarray(np.unique(both[order][places]))


def binned(
    reference: Numbers, live: Numbers, sizes: Sizes | None = None, bins: int = BINS
) -> tuple[Counts, Counts]:
    """Count numbers in at most ten bins that hold about equally much of both samples."""
    rows = sizes or Sizes(len(reference), len(live))
    edges = edges_of(reference, live, rows, bins)
    first, second = (_binned(side, edges) for side in (reference, live))
    filled = (first + second) > 0
    return scaled(first[filled], rows.reference), scaled(second[filled], rows.live)


def _binned(values: Numbers, edges: Numbers) -> Counts:
    place = np.searchsorted(edges, values, side="left")
    return np.asarray(np.bincount(place, minlength=len(edges) + 1), dtype="int64")


def scaled(counts: Counts, rows: int) -> Counts:
    """Count as many rows in all, in the same shares; whole numbers by largest remainders."""
    total = int(counts.sum())
    if total == rows:
        return counts
    exact = counts * (rows / total)
    whole = np.floor(exact).astype("int64")
    short = rows - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:short]] += 1
    return np.asarray(whole)


def number_test(name: str, reference: Numbers, live: Numbers, sizes: Sizes | None = None) -> Tested:
    """Compare numbers by the test that `monitor.tests.number` names.

    Where the reference is constant it has no deviation to measure in, and KS takes the place of
    the test of the means and of the Wasserstein distance.
    """
    if name in {"z", "wasserstein"} and deviation_of(_small(reference, live)[0]) > 0:
        return (means if name == "z" else wasserstein)(reference, live, sizes)
    if name in {"ks", "z", "wasserstein"}:
        return ks(reference, live, sizes)
    return divergence(name, *binned(reference, live, sizes))
