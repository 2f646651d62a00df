"""Two-sample tests, effect sizes and corrections, on plain arrays.

Both samples count as drawn by chance. A test that takes the reference as exact, as whylogs' own
chi-square does, calls a third of windows without drift drifted.
"""

from modelyard.monitoring.statistics.chance import by_chance
from modelyard.monitoring.statistics.corrections import correct
from modelyard.monitoring.statistics.counts import category_test, chi_square
from modelyard.monitoring.statistics.divergences import (
    cross_entropy,
    hellinger,
    jensen_shannon,
    kullback_leibler,
    psi,
    total_variation,
)
from modelyard.monitoring.statistics.embeddings import classifier, embedding_test, mmd
from modelyard.monitoring.statistics.numbers import (
    binned,
    ks,
    mean_shift,
    means,
    number_test,
    wasserstein,
    wasserstein_distance,
)
from modelyard.monitoring.statistics.samples import Counts, Numbers, Rows, Sizes, Tested

__all__ = [
    "Counts",
    "Numbers",
    "Rows",
    "Sizes",
    "Tested",
    "binned",
    "by_chance",
    "category_test",
    "chi_square",
    "classifier",
    "correct",
    "cross_entropy",
    "embedding_test",
    "hellinger",
    "jensen_shannon",
    "ks",
    "kullback_leibler",
    "mean_shift",
    "means",
    "mmd",
    "number_test",
    "psi",
    "total_variation",
    "wasserstein",
    "wasserstein_distance",
]
