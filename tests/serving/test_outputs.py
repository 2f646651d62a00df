"""A model's table becomes plain JSON."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from modelyard.features import ModelFeature, ModelSignature
from serving.model.outputs import outputs_of, plain


def outputs(*kinds: str) -> ModelSignature:
    features = tuple(
        ModelFeature(name=kind, column=kind, type=kind, required=True) for kind in kinds
    )
    return ModelSignature(inputs=(), outputs=features)


def test_a_category_has_prediction_probability_and_probabilities() -> None:
    frame = pd.DataFrame(
        {
            "category": ["a", "b"],
            "category_probability": np.array([0.75, 0.5], dtype="float32"),
            "category_probabilities": [{"a": np.float32(0.75)}, {"a": np.float32(0.5)}],
        }
    )
    assert outputs_of(frame, outputs("category")) == [
        {"category": {"prediction": "a", "probability": 0.75, "probabilities": {"a": 0.75}}},
        {"category": {"prediction": "b", "probability": 0.5, "probabilities": {"a": 0.5}}},
    ]


def test_a_number_has_only_a_prediction() -> None:
    frame = pd.DataFrame({"number": [1.5]})
    assert outputs_of(frame, outputs("number")) == [{"number": {"prediction": 1.5}}]


def test_several_outputs_stand_beside_each_other() -> None:
    frame = pd.DataFrame({"number": [1.5], "binary": [True], "binary_probability": [0.9]})
    [answer] = outputs_of(frame, outputs("number", "binary"))
    assert answer == {
        "number": {"prediction": 1.5},
        "binary": {"prediction": True, "probability": 0.9},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        (pd.NA, "<NA>"),
        ((1, "a"), [1, "a"]),
        ({1: np.float64(2)}, {"1": 2.0}),
        (date(2026, 1, 1), "2026-01-01"),
    ],
)
def test_every_value_becomes_plain_json(value: object, expected: object) -> None:
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)
