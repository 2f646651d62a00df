from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.spec.load import load_spec


def test_the_form_of_a_spec_is_filled_in_as_the_spec_says(
    write_spec: Callable[..., Path],
) -> None:
    from modelyard_dags.form import spec_params

    params = spec_params(load_spec(write_spec(search=True)))
    assert {key: param.value for key, param in params.items()} == {
        "revision": None,
        "tune": True,
        "cross_validate": True,
        "overrides": {},
        "fresh": False,
    }


def test_a_spec_without_a_search_offers_none(write_spec: Callable[..., Path]) -> None:
    from modelyard_dags.form import spec_params

    params = spec_params(load_spec(write_spec()))
    assert "tune" not in params
    assert params["cross_validate"].value is False


def test_the_drop_down_offers_the_specs_with_their_descriptions() -> None:
    from modelyard_dags.form import any_params

    spec = any_params({"b": "b: second", "c": "c"})["spec"]
    assert spec.value == "b"
    assert spec.schema["enum"] == ["b", "c"]
    assert spec.schema["values_display"] == {"b": "b: second", "c": "c"}


def test_the_form_for_any_spec_has_an_entry_for_each_single_field() -> None:
    from modelyard_dags.form import any_params

    params = any_params({})
    assert params["tune.trials"].schema["minimum"] == 1
    assert params["monitor.correction"].schema["enum"][1:] == ["benjamini-hochberg", "bonferroni"]
    assert params["resources.gpus"].description == "GPUs."
    assert not {"name", "version", "data.path"} & params.keys()


def test_every_entry_says_what_it_is() -> None:
    from modelyard_dags.form import any_params

    assert all(param.description for param in any_params({"a": "a"}).values())


def test_an_untouched_form_changes_nothing() -> None:
    from modelyard_dags.form import any_params, choices

    untouched = {key: param.value for key, param in any_params({"a": "a"}).items()}
    assert choices(untouched) == {
        "revision": None,
        "tune": None,
        "cross_validate": None,
        "overrides": {},
        "fresh": False,
    }


@pytest.mark.parametrize(
    ("filled", "expected"),
    [
        ({"tune": "yes"}, {"tune": True}),
        ({"tune": False}, {"tune": False}),
        ({"cross_validate": "no"}, {"cross_validate": False}),
        ({"revision": "v1"}, {"revision": "v1"}),
        ({"revision": ""}, {"revision": None}),
        ({"fresh": True}, {"fresh": True}),
        ({"serve.rollout.approve": "no"}, {"overrides": {"serve.rollout.approve": False}}),
        ({"resources.gpus": 0}, {"overrides": {"resources.gpus": 0}}),
        ({"overrides": {"seed": 2}, "seed": 1}, {"overrides": {"seed": 2}}),
        ({"overrides": None}, {"overrides": {}}),
    ],
)
def test_what_was_filled_in_is_chosen(
    filled: dict[str, object], expected: dict[str, object]
) -> None:
    from modelyard_dags.form import choices

    assert expected.items() <= choices(filled).items()


def test_every_choice_is_one_that_a_run_takes() -> None:
    import inspect

    from modelyard_dags.form import choices

    from modelyard.runs import begin

    assert choices({}).keys() <= inspect.signature(begin).parameters.keys()
