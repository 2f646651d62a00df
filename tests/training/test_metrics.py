"""Metrics have one flat spelling, and `accuracy` is what people mean by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.training.metrics import flatten, of_labels, of_numbers

words = st.sampled_from(["a", "b", "c"])


def test_a_categorys_accuracy_is_the_share_of_rows_that_are_right() -> None:
    tree = {"label": {"accuracy": 0.5, "accuracy_micro": 0.9}}
    flat = flatten(tree, frozenset({"label"}))
    assert flat == {"label.accuracy_macro": 0.5, "label.accuracy": 0.9}


def test_other_outputs_keep_ludwigs_names() -> None:
    assert flatten({"y": {"accuracy": 0.5}}, frozenset()) == {"y.accuracy": 0.5}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1, 2], np.ones(3), "x", None])
def test_only_finite_numbers_are_kept(value: object) -> None:
    assert flatten({"y": {"odd": value, "loss": np.float32(0.5)}}, frozenset()) == {"y.loss": 0.5}


def test_values_are_plain_floats() -> None:
    (value,) = flatten({"y": {"loss": np.float32(0.1)}}, frozenset()).values()
    assert type(value) is float


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.tuples(words, words), min_size=1, max_size=50))
def test_label_metrics_are_shares(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    metrics = of_labels(list(truth), list(predicted))
    assert all(0 <= value <= 1 for value in metrics.values())
    assert metrics["recall_weighted"] == pytest.approx(metrics["accuracy"])


def test_a_perfect_regression() -> None:
    assert of_numbers([1.0, 2.0], [1.0, 2.0]) == {"rmse": 0.0, "mae": 0.0, "r2": 1.0}


def test_one_row_has_no_r2() -> None:
    assert set(of_numbers([1.0], [3.0])) == {"rmse", "mae"}
