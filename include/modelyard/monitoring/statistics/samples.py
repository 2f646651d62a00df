"""What all rooms of statistics speak of: samples, counts, and what a test answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

type Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
type Counts = np.ndarray[tuple[int], np.dtype[np.int64]]
type Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]

DISTANCE: Final = "KS distance"
STANDARDISED: Final = "standardised difference of means"
TRANSPORT: Final = "Wasserstein distance"
VARIATION: Final = "total variation"
PSI: Final = "population stability index"
JENSEN_SHANNON: Final = "Jensen-Shannon divergence"
KULLBACK_LEIBLER: Final = "Kullback-Leibler divergence"
HELLINGER: Final = "Hellinger distance"
DISCREPANCY: Final = "maximum mean discrepancy"
TOLD_APART: Final = "2 AUC - 1"

LARGEST: Final[dict[str, float]] = {
    DISTANCE: 1.0,
    STANDARDISED: math.inf,
    TRANSPORT: math.inf,
    VARIATION: 1.0,
    PSI: math.inf,
    JENSEN_SHANNON: 1.0,
    KULLBACK_LEIBLER: math.inf,
    HELLINGER: 1.0,
    DISCREPANCY: math.sqrt(2),
    TOLD_APART: 1.0,
}
"""Each effect size goes from 0 to this."""


@dataclass(frozen=True, slots=True)
class Tested:
    """The answer of one test: its name in words, and how much differs in its own measure."""

    test: str
    statistic: float
    p_value: float
    effect: float
    effect_name: str


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each side has; more than are at hand where a side is a sketch."""

    reference: int
    live: int

    @property
    def effective(self) -> float:
        """The size of the one sample that is as sure as these two: n m / (n + m)."""
        return self.reference * self.live / (self.reference + self.live)
