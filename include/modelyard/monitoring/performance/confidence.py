"""Estimate accuracy without labels, from how sure the model is.

The probability of the predicted label is calibrated on the version's own test rows to the chance
that the label is right; the mean of that over a window is its expected accuracy (Guillory et al.
2021; NannyML's CBPE). It is right as long as inputs change and what they mean does not (covariate
shift, within what the test rows cover). Where the relation of inputs and labels itself changes,
confidence knows nothing of it: no method can tell that without labels (Garg et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from modelyard.monitoring.performance.resampling import SEED
from modelyard.monitoring.performance.samples import Floats

type Right = npt.NDArray[np.bool_]
type Calibrator = Callable[[Floats], Floats]
"""From the model's probability to the chance of being right."""

# Isotonic regression follows any curve, and therefore chance too where rows are few
# (Niculescu-Mizil and Caruana 2005); Platt's has two parameters.
MANY_ROWS: Final = 1_000
MANY_WRONG: Final = 50
# With fewer wrong answers than these there is nothing to calibrate by.
FEW: Final = 5
DRAWS: Final = 100
MOST_ROWS: Final = 20_000
NEAR: Final = 1e-6
# The normal distribution has 95 % within so many deviations.
Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected accuracy with its 95 % interval, the same of the test rows, and how far apart.

    `p_value`: how often chance makes a window's as much lower.
    """

    value: float
    low: float
    high: float
    baseline: float
    p_value: float
    how: str


def calibrated(confidence: Floats, right: Right) -> tuple[Calibrator, str]:
    """Learn the chance of being right from the model's probability; also say how, in words."""
    wrong = int((~right).sum())
    if min(wrong, len(right) - wrong) < FEW:
        return (
            lambda given: given
        ), f"not calibrated, for {wrong} of {len(right):,} test rows are wrong"
    if len(right) >= MANY_ROWS and wrong >= MANY_WRONG:
        return _isotonic(confidence, right), f"calibrated on {len(right):,} test rows (isotonic)"
    return _platt(confidence, right), f"calibrated on {len(right):,} test rows (Platt)"


def estimate(reference: Floats, right: Right, live: Floats) -> Estimate:
    """Estimate the accuracy of a window.

    The interval and the p-value take the window as drawn, and the test rows too, which the
    calibration is learned from anew in each of 100 draws (bootstrap).

    Args:
        reference: The model's probabilities of its test rows.
        right: Whether these were right.
        live: Its probabilities of the window's rows.
    """
    random = np.random.default_rng(SEED)
    rows, window = _drawn(random, len(reference)), _drawn(random, len(live))
    reference, right, live = reference[rows], right[rows], live[window]
    calibrator, how = calibrated(reference, right)
    value, baseline = float(calibrator(live).mean()), float(calibrator(reference).mean())
    values, gaps = _draws(random, reference, right, live)
    margin = Z * float(np.std(values, ddof=1))
    return Estimate(
        value=value,
        low=max(0.0, value - margin),
        high=min(1.0, value + margin),
        baseline=baseline,
        p_value=_tail(baseline - value, float(np.std(gaps, ddof=1))),
        how=how,
    )


def _draws(
    random: np.random.Generator, reference: Floats, right: Right, live: Floats
) -> tuple[Floats, Floats]:
    """Return what other test rows and another window would have said, and the gap of both."""
    values, gaps = np.empty(DRAWS), np.empty(DRAWS)
    for draw in range(DRAWS):
        rows = random.integers(0, len(reference), len(reference))
        calibrator, _ = calibrated(reference[rows], right[rows])
        given = calibrator(live[random.integers(0, len(live), len(live))])
        values[draw] = given.mean()
        gaps[draw] = calibrator(reference[rows]).mean() - values[draw]
    return values, gaps


def _tail(gap: float, deviation: float) -> float:
    from scipy.stats import norm

    if deviation <= 0:
        return 0.0 if gap > NEAR else 1.0
    return float(norm.sf(gap / deviation))


def _drawn(random: np.random.Generator, count: int) -> npt.NDArray[np.intp] | slice:
    return slice(None) if count <= MOST_ROWS else random.permutation(count)[:MOST_ROWS]


def _isotonic(confidence: Floats, right: Right) -> Calibrator:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(confidence, right.astype(np.float64))
    x, y = model.X_thresholds_, model.y_thresholds_
    return lambda given: np.interp(given, x, y)


def _platt(confidence: Floats, right: Right) -> Calibrator:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e3).fit(_logit(confidence), right)
    return lambda given: np.asarray(model.predict_proba(_logit(given))[:, 1])


def _logit(confidence: Floats) -> Floats:
    inside = np.clip(confidence, NEAR, 1 - NEAR)
    return np.log(inside / (1 - inside))[:, None]
