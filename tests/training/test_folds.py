"""Folds keep what the split keeps, and never look at the test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.divide import divide, part_numbers
from modelyard.training.folds import summary

SHARE = 0.2


def spec_with(split: dict[str, Any], kind: str = "category") -> Spec:
    return Spec.model_validate(
        {
            "name": "folds",
            "data": {"path": "data", "split": split},
            "model": {
                "input_features": [{"name": "x", "type": "number"}],
                "output_features": [{"name": "label", "type": kind}],
            },
        }
    )


def table(count: int = 120) -> pd.DataFrame:
    source = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": source.normal(size=count),
            "label": source.choice(["a", "b", "c"], size=count, p=[0.6, 0.3, 0.1]),
            "patient": source.integers(0, 20, size=count),
            "day": np.arange(count) // 10,
            "split": 0,
        }
    )


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 6), rows=st.integers(40, 120))
def test_every_row_is_held_out_exactly_once(count: int, rows: int) -> None:
    divided = divide(spec_with({}), table(rows), count, SHARE)
    held_out = sum((fold["split"] == 2).astype(int) for fold in divided)
    assert (held_out == 1).all()
    assert all({0, 1, 2} == set(fold["split"]) for fold in divided)


def test_each_fold_keeps_the_classes_shares() -> None:
    rows = table()
    for fold in divide(spec_with({"stratify": "label"}), rows, 5, SHARE):
        for part in range(3):
            share = (fold[fold["split"] == part]["label"] == "a").mean()
            assert share == pytest.approx((rows["label"] == "a").mean(), abs=0.07)


def test_a_group_stays_together() -> None:
    for fold in divide(spec_with({"group": "patient"}), table(), 4, SHARE):
        assert len(fold[["patient", "split"]].drop_duplicates()) == fold["patient"].nunique()


def test_blocks_stay_together_and_are_neighbours() -> None:
    divided = divide(spec_with({"blocks_of": "day"}), table(), 3, SHARE)
    for number, fold in enumerate(divided):
        assert len(fold[["day", "split"]].drop_duplicates()) == fold["day"].nunique()
        held_out = sorted(set(fold[fold["split"] == 2]["day"]))
        assert held_out == list(range(4 * number, 4 * number + 4))


def test_a_number_output_needs_no_classes() -> None:
    rows = table().assign(label=np.arange(120.0))
    parts = part_numbers(spec_with({}, "number"), rows, 5)
    assert np.bincount(parts).tolist() == [24] * 5


def test_a_class_with_fewer_rows_than_folds_does_not_stop_the_run() -> None:
    rows = table(20).assign(label=["a"] * 19 + ["rare"])
    assert len(divide(spec_with({"stratify": "label"}), rows, 5, SHARE)) == 5


def test_the_same_seed_gives_the_same_folds() -> None:
    one, other = (part_numbers(spec_with({}), table(), 5) for _ in range(2))
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize("split", [{"group": "patient"}, {"blocks_of": "day"}, {}])
def test_more_folds_than_there_is_to_divide_are_refused(split: dict[str, Any]) -> None:
    few = table().head(3).assign(patient=1, day=1)
    with pytest.raises(TrainingError, match="cannot divide"):
        part_numbers(spec_with(split, "number"), few, 4)


def test_without_validation_rows_there_are_none_in_the_folds() -> None:
    assert all(set(fold["split"]) == {0, 2} for fold in divide(spec_with({}), table(), 3, 0))


def test_the_summary_has_what_every_fold_has() -> None:
    result = summary("k", ({"a": 1.0, "b": 5.0}, {"a": 3.0}))
    assert result.mean == {"a": 2.0}
    assert result.std == {"a": pytest.approx(2**0.5)}
