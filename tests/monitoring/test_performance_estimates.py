"""An estimate without labels comes near the truth under covariate shift, and cannot under another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from modelyard.monitoring.performance.confidence import FEW, calibrated, estimate
from modelyard.monitoring.performance.samples import Sample, made


def answers(model: Any, rows: Any, truths: Any) -> Sample:
    chances = model.predict_proba(rows)
    predicted = model.classes_[chances.argmax(axis=1)]
    return made(
        "label", truths.astype(str).tolist(), predicted.astype(str).tolist(), chances.max(axis=1)
    )


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any, Any]:
    """A model of digits that learned from few of them, and the rows that it did not learn from."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.data))
    rows, truths = bunch.data[order] / 16, bunch.target[order]
    model = LogisticRegression(max_iter=200, C=0.3).fit(rows[:150], truths[:150])
    return model, rows[150:], truths[150:]


def test_under_a_shift_of_inputs_the_estimate_is_near_the_truth(
    digits: tuple[Any, Any, Any],
) -> None:
    model, rows, truths = digits
    test, rest = answers(model, rows[:800], truths[:800]), answers(model, rows[800:], truths[800:])
    # Rows that the model is unsure of come more often: chosen by inputs alone, for it sees no more.
    weights = np.exp(-4 * rest.probability)
    live = rest.rows(np.random.default_rng(1).choice(len(rest), 500, p=weights / weights.sum()))
    found = estimate(test.probability, test.right, live.probability)
    truth, before = live.right.mean(), test.right.mean()
    assert before - truth > 0.05
    assert abs(found.value - truth) < 0.03
    assert found.low < truth < found.high
    assert found.p_value < 0.01
    assert abs(found.value - truth) < abs(live.probability.mean() - truth)


def test_noise_that_no_test_row_had_is_seen_but_not_in_its_full_size(
    digits: tuple[Any, Any, Any],
) -> None:
    model, rows, truths = digits
    test = answers(model, rows[:800], truths[:800])
    blurred = rows[800:] + np.random.default_rng(2).normal(0, 0.4, rows[800:].shape)
    live = answers(model, blurred, truths[800:])
    found = estimate(test.probability, test.right, live.probability)
    assert found.p_value < 0.05
    assert live.right.mean() < found.value < found.baseline


def test_where_inputs_come_to_mean_something_else_it_sees_nothing(
    digits: tuple[Any, Any, Any],
) -> None:
    model, rows, truths = digits
    test = answers(model, rows[:800], truths[:800])
    live = answers(model, rows[800:], (truths[800:] + 1) % 10)
    found = estimate(test.probability, test.right, live.probability)
    assert live.right.mean() < 0.1
    assert found.value > 0.7


def test_calibration_mends_confidence_that_is_too_high() -> None:
    random = np.random.default_rng(3)
    chances = random.uniform(0.5, 1, 6_000)
    sure = chances ** (1 / 3)  # says 0.79 where it is right in 0.5
    right = random.random(6_000) < chances
    found = estimate(sure[:3_000], right[:3_000], sure[3_000:])
    assert found.value == pytest.approx(chances[3_000:].mean(), abs=0.03)
    assert found.low < found.value < found.high
    assert "isotonic" in found.how


def test_few_rows_are_calibrated_by_two_parameters_and_few_errors_not_at_all() -> None:
    random = np.random.default_rng(4)
    chances = random.uniform(0.5, 1, 400)
    right = random.random(400) < chances
    calibrator, how = calibrated(chances, right)
    assert "Platt" in how
    assert np.all(np.diff(calibrator(np.linspace(0.5, 1, 20))) >= 0)
    few = np.ones(400, dtype=bool)
    few[: FEW - 1] = False
    calibrator, how = calibrated(chances, few)
    assert how == "not calibrated, for 4 of 400 test rows are wrong"
    assert calibrator(chances).tolist() == chances.tolist()


def test_the_same_figures_give_the_same_estimate() -> None:
    random = np.random.default_rng(5)
    chances = random.uniform(0.5, 1, 600)
    right = random.random(600) < chances
    assert estimate(chances[:300], right[:300], chances[300:]) == estimate(
        chances[:300], right[:300], chances[300:]
    )


def test_a_model_that_is_always_as_sure_is_never_found_worse() -> None:
    ones = np.ones(100)
    found = estimate(ones, np.ones(100, dtype=bool), ones)
    assert (found.value, found.p_value) == (1.0, 1.0)


@pytest.mark.nightly
def test_without_a_shift_the_estimate_is_significant_no_more_often_than_alpha() -> None:
    random, alarms, windows = np.random.default_rng(6), 0, 60
    for _ in range(windows):
        chances = random.beta(4, 1, 1_700)
        right = random.random(1_700) < chances
        found = estimate(chances[:1_200], right[:1_200], chances[1_200:])
        alarms += found.p_value <= 0.05
    # The upper end of 99.9 % of what a rate of 5 % gives.
    assert alarms <= 9
