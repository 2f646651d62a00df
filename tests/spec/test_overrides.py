"""Overrides change what they name, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from modelyard.errors import SpecError, UsageError
from modelyard.spec import paths
from modelyard.spec.load import load_spec
from modelyard.spec.models import Spec
from modelyard.spec.overrides import apply, parse

type Raw = dict[str, Any]


@pytest.fixture
def spec(raw: Raw, written: Callable[[Raw], Path]) -> Spec:
    return load_spec(written(raw))


def value_at(spec: Spec, *path: str | int) -> JsonValue:
    return paths.get(spec.model_dump(mode="json"), path)


def test_no_overrides_give_the_same_spec(spec: Spec) -> None:
    assert apply(spec, {}) is spec


def test_one_value_changes_and_the_rest_stays(spec: Spec) -> None:
    changed = apply(spec, {"model.trainer.epochs": 7})
    assert value_at(changed, "model", "trainer", "epochs") == 7
    assert value_at(spec, "model", "trainer", "epochs") == 5
    assert changed.data == spec.data
    assert changed.hash != spec.hash


def test_the_same_value_gives_an_equal_spec(spec: Spec) -> None:
    assert apply(spec, {"seed": spec.seed, "model.trainer.epochs": 5}) == spec


@pytest.mark.parametrize(
    "key",
    [
        "model.input_features[1].encoder.output_size",
        "model.input_features.picture.encoder.output_size",
    ],
)
def test_entries_of_lists_have_an_index_or_a_name(spec: Spec, key: str) -> None:
    changed = apply(spec, {key: 64})
    assert value_at(changed, "model", "input_features", 1, "encoder", "output_size") == 64


def test_missing_sections_are_made(spec: Spec) -> None:
    assert apply(spec, {"cross_validation.folds": 3}).cross_validation is not None


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("model.trainer.epoch", 3, "did you mean `epochs`"),
        ("model.trainer.epochs", "ten", "must be a whole number"),
        ("gate[3].at_least", 1, "a list of 1 entries"),
        ("gate.at_least", 1, "a list of 1 entries"),
        ("seed[0]", 1, "no list"),
        ("seed.value", 1, "not a mapping"),
        ("name", "other", "known by"),
        ("sede", 1, "did you mean `seed`"),
        ("", 1, "not a dotted key"),
        ("model..trainer", 1, "not a dotted key"),
        ("monitor.alpha", float("nan"), "cannot be overridden"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(
    spec: Spec, key: str, value: JsonValue, says: str
) -> None:
    with pytest.raises(SpecError, match="overrides of flowers") as refused:
        apply(spec, {key: value})
    assert says in str(refused.value)


def test_values_on_the_command_line_are_yaml() -> None:
    assert parse(["a.b=5", "c=1e-3", "d=[1, x]", "e=", "f=text=more", "g='5'"]) == {
        "a.b": 5,
        "c": 1e-3,
        "d": [1, "x"],
        "e": None,
        "f": "text=more",
        "g": "5",
    }


@pytest.mark.parametrize("text", ["novalue", "=5", "a=[1", "a=no"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse([text])


def test_a_key_of_the_model_may_begin_with_a_feature_s_name(raw: Raw) -> None:
    found = paths.find_in_model(raw["model"], "picture.encoder.type")
    assert found == ("input_features", 1, "encoder", "type")
    assert paths.get(raw["model"], found) == "stacked_cnn"
    assert paths.find_in_model(raw["model"], "trainer.epochs") == ("trainer", "epochs")


def test_putting_a_value_leaves_the_original_alone(raw: Raw) -> None:
    changed = paths.put(raw["model"], ("input_features", 0, "encoder", "type"), "ple")
    assert paths.get(changed, ("input_features", 0, "encoder", "type")) == "ple"
    assert "encoder" not in raw["model"]["input_features"][0]
