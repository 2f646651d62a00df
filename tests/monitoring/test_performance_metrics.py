"""Metrics are scikit-learn's; intervals hold the value; tests keep their promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modelyard.errors import MonitoringError
from modelyard.monitoring.performance.degradation import (
    degradation,
    judged,
    level_of,
    levelled,
)
from modelyard.monitoring.performance.known import (
    FIGURES,
    NOT_WATCHED,
    OF_LABELS,
    OF_NUMBERS,
    metrics_of,
    watched,
)
from modelyard.monitoring.performance.metrics import Metric
from modelyard.monitoring.performance.samples import Kinds, Sample, made
from modelyard.spec import monitor_rules
from modelyard.spec.monitor import LevelsSpec, MonitorSpec
from modelyard.store.monitoring_records import MetricVerdict

LABELS = {metric.name: metric for metric in OF_LABELS}
NUMBERS = {metric.name: metric for metric in OF_NUMBERS}
BY_NAME = LABELS | NUMBERS
RANK = [None, "warning", "critical", "immediate"]


def labels(
    rows: int, wrong: float = 0.2, *, classes: int = 4, seed: int = 0, doubt: float = 0.0
) -> Sample:
    """Labels of which about so many are wrong, at a confidence that is right by `doubt`."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    missed = random.random(rows) < wrong
    predicted = np.where(missed, (truth + random.integers(1, classes, rows)) % classes, truth)
    confidence = np.clip(1 - wrong - doubt + random.normal(0, 0.05, rows), 0.01, 0.99)
    return made("label", truth.astype(str).tolist(), predicted.astype(str).tolist(), confidence)  # type: ignore[arg-type]


def numbers(rows: int, noise: float = 1.0, *, shift: float = 0.0, seed: int = 0) -> Sample:
    random = np.random.default_rng(seed)
    truth = random.normal(10, 3, rows)
    answers = truth + shift + random.normal(0, noise, rows)
    return made("number", truth.tolist(), answers.tolist(), [None] * rows)


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_labels_are_scikit_learns(seed: int) -> None:
    sample = labels(150, 0.4, seed=seed)
    truth, predicted = sample.truth.astype(str), sample.predicted.astype(str)
    known = np.unique(truth)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        truth, predicted, labels=known, average="macro", zero_division=0
    )
    expected = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
    }
    assert {name: LABELS[name].value(sample) for name in expected} == pytest.approx(expected)


def test_averages_leave_out_classes_that_no_truth_has() -> None:
    sample = made("label", list("aabb"), list("aabc"), [0.9] * 4)
    assert LABELS["recall"].value(sample) == pytest.approx(0.75)
    assert LABELS["f1"].value(sample) == pytest.approx((1 + 2 / 3) / 2)


def test_one_class_has_its_own_figures() -> None:
    sample = labels(200, 0.3, classes=2)
    found = {one.name: one for one in metrics_of("label", "1", frozenset({"f1.0"}))}
    truth, predicted = sample.truth.astype(str), sample.predicted.astype(str)
    for name, label in [("f1.1", "1"), ("f1.0", "0")]:
        expected = sk.f1_score(truth, predicted, pos_label=label)
        assert found[name].value(sample) == pytest.approx(expected)
    assert {"precision.1", "recall.1"} <= found.keys()


def test_figures_of_numbers_are_scikit_learns() -> None:
    sample = numbers(120, shift=0.5)
    truth, predicted = sample.truth, sample.predicted
    expected = {
        "mae": sk.mean_absolute_error(truth, predicted),
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "r2": sk.r2_score(truth, predicted),
        "bias": float((predicted - truth).mean()),
    }
    assert {name: NUMBERS[name].value(sample) for name in expected} == pytest.approx(expected)


def test_the_brier_score_of_two_labels_is_scikit_learns() -> None:
    sample = labels(300, 0.3, classes=2)
    of_one = np.where(sample.predicted == "1", sample.probability, 1 - sample.probability)
    expected = sk.brier_score_loss(sample.truth.astype(int), of_one)
    assert LABELS["brier"].value(sample) == pytest.approx(expected)


def test_the_calibration_error_is_the_gap_of_sure_and_right() -> None:
    sure = made("label", ["a"] * 300, ["a", "b", "b"] * 100, np.linspace(0.8, 1, 300).tolist())
    assert LABELS["calibration_error"].value(sure) == pytest.approx(0.9 - 1 / 3, abs=0.01)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_interval_holds_its_value_and_is_narrower_with_more_rows(name: str) -> None:
    metric = BY_NAME[name]
    few, many = (
        (labels(rows, doubt=0.1) if name in LABELS else numbers(rows, shift=0.3))
        for rows in (100, 2_000)
    )
    widths = []
    for sample in (few, many):
        low, high = metric.interval(sample)
        assert low <= metric.value(sample) <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"bias"}))
def test_what_is_worse_is_sure_and_what_is_better_is_not(name: str) -> None:
    good, bad = (
        (labels(500, 0.1), labels(500, 0.4, doubt=-0.3, seed=1))
        if name in LABELS
        else (numbers(500), numbers(500, 2.0, seed=1))
    )
    assert BY_NAME[name].chance(good, bad) < 0.01
    assert BY_NAME[name].chance(bad, good) > 0.95


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"bias"}))
def test_without_degradation_a_metric_is_significant_no_more_often_than_alpha(name: str) -> None:
    metric, windows, alarms = BY_NAME[name], 300, 0
    for seed in range(windows):
        base, live = (
            (labels(400, seed=2 * seed + part) if name in LABELS else numbers(400, seed=2 * seed + part))
            for part in (0, 1)
        )  # fmt: skip
        alarms += metric.chance(base, live) <= 0.05
    # The upper end of 99.9 % of what a rate of 5 % gives.
    assert alarms <= 28


def test_accuracy_is_significant_no_more_often_than_alpha() -> None:
    alarms = sum(
        LABELS["accuracy"].chance(labels(400, seed=2 * n), labels(200, seed=2 * n + 1)) <= 0.05
        for n in range(200)
    )
    assert alarms <= 21


@given(st.floats(0.01, 10), st.floats(0, 10))
def test_degradation_is_the_share_by_which_it_is_worse(base: float, value: float) -> None:
    up, down = (degradation(value, base, lower_is_better=lower) for lower in (True, False))
    assert up is not None
    assert down is not None
    assert up == pytest.approx(-down)
    assert (up > 0) == (value > base)
    assert base * (1 + up) == pytest.approx(value, abs=1e-9)


def test_of_nothing_there_is_no_share() -> None:
    assert degradation(0.5, 0.0, lower_is_better=True) is None
    assert degradation(0.5, -1.0, lower_is_better=False) is None
    assert degradation(math.nan, 1.0, lower_is_better=False) is None


@given(st.floats(-1, 2), st.floats(-1, 2))
@settings(max_examples=50)
def test_levels_rise_with_degradation(one: float, other: float) -> None:
    levels = LevelsSpec()
    low, high = sorted((one, other))
    assert RANK.index(level_of(low, levels)) <= RANK.index(level_of(high, levels))


@pytest.mark.parametrize(
    ("share", "level"),
    [(0.05, None), (0.051, "warning"), (0.11, "critical"), (0.21, "immediate"), (None, None)],
)
def test_levels_are_those_of_the_issue(share: float | None, level: str | None) -> None:
    assert level_of(share, LevelsSpec()) == level


def verdict(name: str, share: float, p_value: float | None, *, is_watched: bool = True) -> MetricVerdict:  # fmt: skip
    return MetricVerdict(
        output="label",
        metric=name,
        watched=is_watched,
        rows=500,
        value=0.8,
        baseline=0.9,
        degradation=share,
        p_value=p_value,
    )


def test_a_level_needs_significance_after_correction_and_size() -> None:
    given_ones = [
        verdict("small", 0.01, 0.001),
        verdict("unsure", 0.3, 0.2),
        verdict("gross", 0.3, 0.001),
        verdict("just", 0.12, 0.06),
        verdict("unwatched", 0.9, None, is_watched=False),
    ]
    found = {one.metric: one for one in levelled(given_ones, MonitorSpec())}
    assert {name: one.level for name, one in found.items()} == {
        "gross": "immediate",
        "unsure": None,
        "just": None,
        "small": None,
        "unwatched": None,
    }
    assert found["gross"].p_adjusted == pytest.approx(0.002)
    assert found["unwatched"].p_adjusted is None
    assert next(iter(found)) in {"gross", "unsure"}
    assert list(found)[-1] == "unwatched"


def test_too_few_rows_say_nothing_and_too_few_test_rows_compare_with_nothing() -> None:
    accuracy, base = LABELS["accuracy"], labels(200)
    assert judged("label", accuracy, labels(29), base, watched=True) is None
    found = judged("label", accuracy, labels(100), labels(9), watched=True)
    assert found is not None
    assert (found.baseline, found.p_value) == (None, None)
    assert "fewer than 10 test rows" in str(found.note)


def test_what_is_not_watched_is_not_tested() -> None:
    found = judged("label", LABELS["f1"], labels(100), labels(200), watched=False)
    assert found is not None
    assert found.p_value is None
    assert found.baseline is not None


def test_rows_without_a_probability_count_for_accuracy_and_not_for_calibration() -> None:
    sample = made("label", ["a"] * 80, ["a"] * 80, [0.9] * 40 + [None] * 40)
    counted = {}
    for name in ("accuracy", "brier", "calibration_error"):
        found = judged("label", LABELS[name], sample, None, watched=False)
        assert found is not None
        counted[name] = found.rows
    assert counted == {"accuracy": 80, "brier": 40, "calibration_error": 40}


def test_answers_that_are_missing_or_of_another_kind_are_left_out() -> None:
    assert len(made("number", [1.0, "x", None, 2.0, True], [1.0, 1.0, 1.0, None, 1.0], [None] * 5)) == 1  # fmt: skip
    assert len(made("label", ["a", None, 3], ["a", "b", "3"], [0.5, 0.5, None])) == 2


KINDS: Kinds = {"label": "label", "price": "number", "a.b": "label"}


def test_by_default_accuracy_and_the_root_mean_squared_error_are_watched() -> None:
    assert watched((), KINDS) == {
        "label": {"accuracy"},
        "price": {"rmse"},
        "a.b": {"accuracy"},
    }


def test_outputs_may_have_dots_and_classes_may_be_named() -> None:
    found = watched(("a.b.f1", "label.recall.yes", "label.brier"), KINDS)
    assert found == {"a.b": {"f1"}, "label": {"recall.yes", "brier"}, "price": frozenset()}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("labl.accuracy", "did you mean `label`"),
        ("label.acuracy", "did you mean `accuracy`"),
        ("price.f1", "is not a metric of a number"),
        ("price.bias", "that can be watched"),
        ("label.rmse", "is not a metric of a label"),
    ],
)
def test_a_metric_that_is_not_there_is_refused_with_the_nearest(asked: str, says: str) -> None:
    with pytest.raises(MonitoringError, match=says):
        watched((asked,), KINDS)


def test_every_metric_has_bounds_that_its_interval_keeps() -> None:
    for metric in BY_NAME.values():
        assert isinstance(metric, Metric)
        sample = labels(40, 0.02) if metric.name in LABELS else numbers(40)
        found = judged("x", metric, sample, None, watched=False)
        assert found is not None
        low, high = metric.bounds
        assert low <= (found.low or 0) <= (found.high or 0) <= high or metric.name == "bias"


def test_a_spec_may_watch_what_can_be_measured() -> None:
    able = [metric.name for metric in OF_LABELS]
    assert sorted(monitor_rules.LABEL_METRICS) == sorted(able)
    numbers = [metric.name for metric in OF_NUMBERS if metric.name not in NOT_WATCHED]
    assert sorted(monitor_rules.NUMBER_METRICS) == sorted(numbers)
    assert monitor_rules.OF_A_CLASS == FIGURES
