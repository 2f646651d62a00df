"""What a refusal says, and that it survives a process border."""

import pickle

import pytest

from modelyard import errors
from modelyard.errors import (
    ChecksFailed,
    ComputeError,
    DataError,
    GateRefused,
    ModelyardError,
    Problem,
    SpecError,
    UsageError,
)


def test_a_problem_names_file_line_field_message_and_hint() -> None:
    problem = Problem(
        "unknown key lerning_rate", "a.yaml", 7, "model.trainer", "did you mean learning_rate?"
    )
    assert (
        str(problem)
        == "a.yaml:7: model.trainer: unknown key lerning_rate (did you mean learning_rate?)"
    )


def test_a_problem_without_a_place_is_only_its_message() -> None:
    assert str(Problem("too few rows")) == "too few rows"


def test_a_spec_error_is_one_line_a_problem() -> None:
    error = SpecError("a.yaml", (Problem("one", "a.yaml", 1), Problem("two", "a.yaml", 2)))
    assert str(error).splitlines() == ["a.yaml:1: one", "a.yaml:2: two"]


def test_checks_failed_lists_every_problem_below_its_message() -> None:
    error = ChecksFailed("2 checks broke", (Problem("one"), Problem("two")))
    assert str(error).splitlines() == ["2 checks broke", "  one", "  two"]


def test_broken_checks_are_a_kind_of_data_error() -> None:
    assert issubclass(ChecksFailed, DataError)


@pytest.mark.parametrize(
    "error",
    [
        ComputeError("lost", hint="start it"),
        SpecError("a.yaml", (Problem("one", "a.yaml", 1, "name"),)),
        GateRefused("refused", (Problem("measured 0.1", field="label.accuracy"),)),
        UsageError("no such stage"),
    ],
)
def test_an_error_is_the_same_after_pickling(error: ModelyardError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args


def test_only_usage_errors_exit_with_two() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind: kind.exit_code for kind in kinds if issubclass(kind, ModelyardError)}
    assert {kind for kind, code in codes.items() if code == 2} == {UsageError}
    assert set(codes.values()) == {1, 2}


def test_the_tree_in_the_docstring_names_every_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    missing = [
        kind.__name__
        for kind in kinds
        if issubclass(kind, ModelyardError)
        and kind.__name__ not in (errors.__doc__ or "")
        and kind.__name__ != "ProblemsError"
    ]
    assert missing == []
