"""All the measures of a difference that are cheap, for information beside the verdict."""

from __future__ import annotations

from modelyard.monitoring.statistics import divergences
from modelyard.monitoring.statistics.numbers import binned, mean_shift, wasserstein_distance
from modelyard.monitoring.statistics.samples import Counts, Numbers, Sizes


def of_counts(reference: Counts, live: Counts) -> dict[str, float]:
    """Measure counts of the same categories."""
    return {
        "psi": float(divergences.psi(reference, live)),
        "jensen_shannon": float(divergences.jensen_shannon(reference, live)),
        "kl": float(divergences.kullback_leibler(reference, live)),
        "hellinger": float(divergences.hellinger(reference, live)),
        "cross_entropy": float(divergences.cross_entropy(reference, live)),
    }


def of_numbers(reference: Numbers, live: Numbers, sizes: Sizes | None = None) -> dict[str, float]:
    """Measure numbers; divergences are over ten bins of both samples together."""
    return {
        **of_counts(*binned(reference, live, sizes)),
        "wasserstein": wasserstein_distance(reference, live),
        "mean_shift": mean_shift(reference, live),
    }
