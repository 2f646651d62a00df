"""Rows are checked against the model's own features."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.features import ModelFeature, ModelSignature
from serving.http.problems import Refusal
from serving.requests import values as module
from serving.requests.rows import check_rows
from tests.serving.fakes import DIGITS, FLOWERS, picture

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def signature_of(kind: str, **options: Any) -> ModelSignature:
    feature = ModelFeature(name="x", column="x", type=kind, required=True, **options)
    return ModelSignature(inputs=(feature,), outputs=())


def checked(kind: str, value: object, **options: Any) -> object:
    [row] = check_rows(signature_of(kind, **options), [{"x": value}])
    return row["x"]


def refused(signature: ModelSignature, row: dict[str, object], *, textual: bool = False) -> str:
    with pytest.raises(Refusal) as caught:
        check_rows(signature, [row], textual=textual)
    return caught.value.document.errors[0].message


def test_a_row_gets_every_input_and_none_where_a_value_is_missing() -> None:
    [row] = check_rows(FLOWERS, [{"length": 1}])
    assert row == {"length": 1.0, "width": None, "colour": None, "wild": None}


def test_null_is_a_missing_value() -> None:
    assert refused(FLOWERS, {"length": None}) == "is missing"
    [row] = check_rows(FLOWERS, [{"length": 1, "width": None}])
    assert row["width"] is None


def test_an_unknown_column_is_refused_with_the_nearest_word() -> None:
    assert "did you mean length?" in refused(FLOWERS, {"lenght": 1, "length": 1})


def test_an_unknown_column_like_no_other_is_refused_with_all_words() -> None:
    assert "it takes length, width, colour, wild" in refused(FLOWERS, {"zzz": 1, "length": 1})


def test_what_the_model_predicts_is_not_an_input() -> None:
    assert "what the model predicts" in refused(FLOWERS, {"length": 1, "kind": "a"})


@pytest.mark.parametrize("value", ["abc", "1.5", True, [], {}, math.nan, math.inf, 1e300, 10**400])
def test_what_is_no_number_is_refused(value: object) -> None:
    assert "number" in refused(FLOWERS, {"length": value})


def test_in_a_form_a_number_is_text() -> None:
    [row] = check_rows(FLOWERS, [{"length": "1.5"}], textual=True)
    assert row["length"] == 1.5
    assert "'abc'" in refused(FLOWERS, {"length": "abc"}, textual=True)
    assert "finite" in refused(FLOWERS, {"length": "nan"}, textual=True)


def test_an_unknown_category_passes_for_the_model_has_a_place_for_it() -> None:
    assert checked("category", "green", categories=("blue", "red")) == "green"


@pytest.mark.parametrize(
    ("value", "known", "spelled"),
    [
        (3, ("3", "4"), "3"),
        (3.0, ("3", "4"), "3"),
        (3, ("3.0", "4.0"), "3.0"),
        (True, ("False", "True"), "True"),
        (2.5, ("2.5",), "2.5"),
    ],
)
def test_a_category_is_spelled_as_in_training(
    value: object, known: tuple[str, ...], spelled: str
) -> None:
    assert checked("category", value, categories=known) == spelled


@pytest.mark.parametrize(
    ("value", "known", "spelled"),
    [
        (True, ("False", "True"), "True"),
        (1, ("False", "True"), "True"),
        ("true", ("False", "True"), "True"),
        (True, ("0", "1"), "1"),
        (0, ("0", "1"), "0"),
        ("Yes", ("no", "yes"), "yes"),
        (True, None, "True"),
    ],
)
def test_a_binary_value_is_spelled_as_in_training(
    value: object, known: tuple[str, ...] | None, spelled: str
) -> None:
    assert checked("binary", value, categories=known) == spelled


def test_an_unknown_binary_value_is_refused_with_those_that_exist() -> None:
    assert "one of False, True" in refused(FLOWERS, {"length": 1, "wild": "perhaps"})


@pytest.mark.parametrize("kind", ["timeseries", "vector"])
@pytest.mark.parametrize("value", [[1, 2.5, -3], "1 2.5 -3"])
def test_a_series_is_a_list_or_text(kind: str, value: object) -> None:
    text = checked(kind, value)
    assert isinstance(text, str)
    assert [float(part) for part in text.split()] == [1, 2.5, -3]


def test_a_series_with_something_else_in_it_is_refused_by_its_place() -> None:
    assert "value 2 must be a number" in refused(signature_of("timeseries"), {"x": [1, "a"]})
    assert "value 2 must be a finite" in refused(signature_of("vector"), {"x": [1, math.nan]})


@pytest.mark.parametrize("kind", ["text", "sequence", "set", "bag", "date"])
def test_words_may_come_as_a_list(kind: str) -> None:
    assert checked(kind, ["a", "b"]) == "a b"
    assert checked(kind, "a b") == "a b"


def test_audio_is_refused_for_it_would_name_a_file_of_the_server() -> None:
    assert "cannot be sent" in refused(signature_of("audio"), {"x": "/etc/passwd"})


def test_a_path_is_no_image() -> None:
    assert "not" in refused(DIGITS, {"image": "/etc/passwd"})


@pytest.mark.parametrize("value", [1, True, ["a"], {}])
def test_an_image_of_another_type_is_refused(value: object) -> None:
    assert "send the image in base64" in refused(DIGITS, {"image": value})


def test_the_pixels_of_a_whole_request_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIXELS_A_REQUEST", 28 * 28 * 2)
    two = [{"image": picture()}] * 2
    assert len(check_rows(DIGITS, two)) == 2
    with pytest.raises(Refusal) as caught:
        check_rows(DIGITS, [*two, {"image": picture()}])
    assert caught.value.document.errors[0].row == 3


@given(st.dictionaries(st.sampled_from(["length", "width", "colour", "wild", "x"]), JSON))
def test_any_json_is_either_taken_or_refused_by_row_and_field(row: dict[str, object]) -> None:
    refusal = None
    taken: dict[str, object] = {"length": 1.0}
    try:
        [taken] = check_rows(FLOWERS, [row])
    except Refusal as error:
        refusal = error.document
    assert isinstance(taken["length"], float)
    assert refusal is None or all(item.row == 1 and item.field for item in refusal.errors)


@given(JSON)
def test_any_json_as_an_image_is_refused_or_an_image(value: object) -> None:
    with pytest.raises(Refusal):
        check_rows(DIGITS, [{"image": value}])


SPEECH = ModelSignature(
    inputs=tuple(
        ModelFeature(name=name, column=name, type="timeseries", required=True, steps=29)
        for name in ("lpc_1", "lpc_2")
    ),
    outputs=DIGITS.outputs,
)


def test_each_channel_of_a_series_is_a_list_or_text_of_numbers() -> None:
    [row] = check_rows(SPEECH, [{"lpc_1": [0.5, -1, 2e-3], "lpc_2": "0.25 1 3"}])
    assert row == {"lpc_1": "0.5 -1 0.002", "lpc_2": "0.25 1.0 3.0"}


def test_a_wrong_step_of_one_channel_is_named() -> None:
    rows = [{"lpc_1": [1.0], "lpc_2": [1.0]}, {"lpc_1": [1.0, "x"], "lpc_2": None}]
    with pytest.raises(Refusal) as caught:
        check_rows(SPEECH, rows)
    found = [(item.row, item.field, item.message) for item in caught.value.document.errors]
    assert [entry[:2] for entry in found] == [(2, "lpc_1"), (2, "lpc_2")]
    assert "value 2 must be a number" in found[0][2]
    assert found[1][2] == "is missing"


@pytest.mark.parametrize("value", [[], "", "   "])
def test_a_series_without_a_step_is_refused(value: object) -> None:
    assert "has no step" in refused(signature_of("timeseries"), {"x": value})
