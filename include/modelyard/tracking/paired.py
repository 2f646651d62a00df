"""Whether two models that answered the same rows differ by more than chance. Pure statistics.

McNemar's test for labels (McNemar 1947; exact, as Dietterich 1998 uses it to compare classifiers),
with the interval of Bonett and Price (2012); a sign-flip permutation test of the mean difference
for everything measured in numbers, with a percentile bootstrap interval (Efron and Tibshirani 1993).
Of more than 1,000 rows the mean is normal to many digits, and both are computed from that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

ABSOLUTE_ERROR = "mean absolute error"
LEVEL = 0.05
Z = 1.959963984540054  # the normal quantile of 97.5 %
MANY_ROWS = 1_000
FLIPS = 9_999
RESAMPLES = 2_000
NUMBERS_AT_ONCE = 1_000_000
SEED = 0


class Paired(BaseModel):
    """What a paired test said of the second model against the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str = Field(description="Which test, in words.")
    measure: str = Field(description="What was compared: accuracy, mean absolute error, Dice.")
    rows: int = Field(description="Rows that both models answered.")
    first: float = Field(description="The first model's mean over the rows.")
    second: float = Field(description="The second model's mean over the rows.")
    difference: float = Field(description="Second minus first.")
    low: float = Field(description="Lower end of the difference's 95 % confidence interval.")
    high: float = Field(description="Upper end of it.")
    p_value: float = Field(description="Two-sided, against no difference.")

    @property
    def lower_is_better(self) -> bool:
        """Whether less of the measure is better."""
        return self.measure.endswith("error")

    @property
    def significant(self) -> bool:
        """Whether chance alone would do this in fewer than 5 % of comparisons."""
        return self.p_value < LEVEL


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """Compare which rows each model got right.

    Raises:
        ValueError: there are no rows, or not equally many.
    """
    from scipy.stats import binomtest

    rows = _paired_rows(first, second)
    lost = sum(a and not b for a, b in zip(first, second, strict=True))
    won = sum(b and not a for a, b in zip(first, second, strict=True))
    p_value = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    low, high = bonett_price(won, lost, rows)
    return Paired(
        test="McNemar's exact test",
        measure="accuracy",
        rows=rows,
        first=sum(first) / rows,
        second=sum(second) / rows,
        difference=(won - lost) / rows,
        low=low,
        high=high,
        p_value=min(1.0, p_value),
    )


def bonett_price(won: int, lost: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a difference of paired proportions (Bonett and Price 2012, adjusted Wald)."""
    gained, dropped = (won + 1) / (rows + 2), (lost + 1) / (rows + 2)
    half = Z * math.sqrt(max(0.0, gained + dropped - (gained - dropped) ** 2) / (rows + 2))
    centre = gained - dropped
    return max(-1.0, centre - half), min(1.0, centre + half)


def sign_flips(
    first: Sequence[float], second: Sequence[float], measure: str = ABSOLUTE_ERROR
) -> Paired:
    """Compare a figure that each model has for each row, such as its error.

    Raises:
        ValueError: there are no rows, or not equally many.
    """
    import numpy as np

    rows = _paired_rows(first, second)
    one, other = np.asarray(first, dtype="float64"), np.asarray(second, dtype="float64")
    differences = other - one
    many = rows > MANY_ROWS
    low, high = (_normal_interval if many else _bootstrap)(differences)
    return Paired(
        test="a sign-flip permutation test",
        measure=measure,
        rows=rows,
        first=float(one.mean()),
        second=float(other.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=(_normal_flip if many else _flip)(differences),
    )


def wilson(right: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927).

    Raises:
        ValueError: there are no rows.
    """
    from scipy.stats import binomtest

    interval = binomtest(right, rows).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean: by bootstrap of few rows, normal of many."""
    import numpy as np

    array = np.asarray(values, dtype="float64")
    return (_normal_interval if len(array) > MANY_ROWS else _bootstrap)(array)


def _paired_rows(first: Sequence[object], second: Sequence[object]) -> int:
    if not len(first) or len(first) != len(second):
        message = f"{len(first)} and {len(second)} rows cannot be compared in pairs"
        raise ValueError(message)
    return len(first)


def _flip(differences: NDArray[float64]) -> float:
    """The share of sign flips with a mean as far from 0, the one observed among them."""
    import numpy as np
    from scipy.stats import permutation_test

    if len(differences) == 1 or not differences.any():
        return 1.0
    scaled = differences / np.abs(differences).max()  # tiny numbers would vanish in a tolerance
    answer = permutation_test(
        (scaled,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=max(1, NUMBERS_AT_ONCE // len(scaled)),
        rng=np.random.default_rng(SEED),
    )
    return min(1.0, float(answer.pvalue))


def _normal_flip(differences: NDArray[float64]) -> float:
    """The same from the normal distribution: flipping signs gives the sum the variance of its squares."""
    import numpy as np
    from scipy.stats import norm

    if not differences.any():
        return 1.0
    scaled = differences / np.abs(differences).max()
    return float(2 * norm.sf(abs(scaled.sum()) / math.sqrt(float((scaled**2).sum()))))


def _normal_interval(differences: NDArray[float64]) -> tuple[float, float]:
    centre = float(differences.mean())
    half = Z * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return centre - half, centre + half


def _bootstrap(differences: NDArray[float64]) -> tuple[float, float]:
    import numpy as np

    random = np.random.default_rng(SEED)
    at_once = max(1, NUMBERS_AT_ONCE // len(differences))
    means: list[float] = []
    while len(means) < RESAMPLES:
        count = min(at_once, RESAMPLES - len(means))
        chosen = random.integers(0, len(differences), size=(count, len(differences)))
        means += differences[chosen].mean(axis=1).tolist()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
