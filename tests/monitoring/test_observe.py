"""A row and a table are observed alike, whatever form their values come in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelyard.monitoring.observe import (
    is_identity,
    observe,
    observe_frame,
    observe_output,
)
from modelyard.monitoring.texts import Vocabularies, Vocabulary


@pytest.mark.parametrize(
    ("given_value", "observed"),
    [
        (3, 3.0),
        ("2.5", 2.5),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(4), 4.0),
        (None, None),
        ("", None),
        ("many", None),
        (math.nan, None),
        (math.inf, None),
        ("1e999", None),
        (10**400, None),
        (pd.NA, None),
        ([1.0], None),
    ],
)
def test_a_number_is_a_finite_float_or_nothing(given_value: object, observed: object) -> None:
    assert observe([("x", "number")], {"x": given_value}) == {"x": observed}


@pytest.mark.parametrize(
    ("given_value", "observed"),
    [
        ("red", "red"),
        (3, "3"),
        (3.0, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (np.bool_(False), "false"),
        (np.str_("blue"), "blue"),
        ("", None),
        (None, None),
        (pd.NaT, None),
        (math.nan, None),
        ("x" * 900, "x" * 200),
    ],
)
def test_a_category_is_a_word_or_nothing(given_value: object, observed: object) -> None:
    assert observe([("x", "category")], {"x": given_value}) == {"x": observed}


@pytest.mark.parametrize("yes", [True, 1, 1.0, "1", "yes", "True", "T", " on "])
def test_all_ways_to_say_yes_are_one(yes: object) -> None:
    assert observe([("x", "binary")], {"x": yes}) == {"x": "true"}


@pytest.mark.parametrize("no", [False, 0, 0.0, "0", "no", "False", "off", -1])
def test_all_ways_to_say_no_are_one(no: object) -> None:
    assert observe([("x", "binary")], {"x": no}) == {"x": "false"}


def test_a_text_is_its_characters_and_words() -> None:
    assert observe([("x", "text")], {"x": "to be  or not"}) == {
        "x.length": 13.0,
        "x.words": 4.0,
        "x.word_length": 2.25,
        "x.non_ascii": 0.0,
    }


def test_a_text_is_held_against_its_own_column_of_words() -> None:
    words = Vocabularies({"x": Vocabulary(frozenset({"to", "be"}))})
    seen = observe([("x", "text"), ("y", "text")], {"x": "To be, or not", "y": "what?"}, words)
    assert seen["x.unknown_words"] == 0.5
    assert "y.unknown_words" not in seen


@pytest.mark.parametrize(
    "series",
    [
        [1, 2, 6],
        (1.0, 2.0, 6.0),
        np.array([1, 2, 6]),
        "1 2 6",
        "1, 2, 6",
        [1, None, 2, "6", math.nan, "x"],
    ],
    ids=repr,
)
def test_a_series_is_its_length_and_where_its_numbers_lie(series: object) -> None:
    seen = observe([("x", "timeseries")], {"x": series})
    spread = {name: seen[f"x.{name}"] for name in ("mean", "min", "max", "change")}
    assert spread == {"mean": 3.0, "min": 1.0, "max": 6.0, "change": 5.0}
    assert seen["x.std"] == pytest.approx(math.sqrt(14 / 3))


def test_a_vector_has_no_beginning_and_end() -> None:
    seen = observe([("x", "vector")], {"x": [1, 2, 6]})
    assert set(seen) == {"x.length", "x.mean", "x.std", "x.min", "x.max"}


@pytest.mark.parametrize("series", ["a b", [], [math.inf, math.nan]], ids=repr)
def test_a_series_without_numbers_has_only_a_length(series: object) -> None:
    seen = observe([("x", "timeseries")], {"x": series})
    assert {name for name, value in seen.items() if value is not None} <= {"x.length"}


def test_numbers_near_the_largest_have_no_mean_and_raise_no_warning() -> None:
    seen = observe([("x", "vector")], {"x": [1.7e308, 1.7e308]})
    assert (seen["x.mean"], seen["x.max"]) == (None, 1.7e308)


@pytest.mark.parametrize(
    ("value", "observed"),
    [
        ("red", {"predicted.y": "red"}),
        (True, {"predicted.y": "true"}),
        (2, {"predicted.y": 2.0}),
        (0.25, {"predicted.y": 0.25}),
        (None, {"predicted.y": None}),
    ],
    ids=repr,
)
def test_an_answer_is_a_number_or_a_word(value: object, observed: object) -> None:
    assert observe_output("y", value) == observed


def test_an_answer_that_is_a_list_has_measures() -> None:
    assert observe_output("y", [1.0, 3.0])["predicted.y.mean"] == 2.0
    assert observe_output("y", ["a", "b"])["predicted.y.length"] == 2.0


def test_a_set_is_how_many_it_has() -> None:
    assert observe([("x", "set")], {"x": "red green"}) == {"x.length": 2.0}


def test_what_is_not_in_the_row_is_nothing() -> None:
    kinds = [("a", "number"), ("b", "category"), ("c", "text"), ("d", "vector"), ("e", "image")]
    seen = observe(kinds, {})
    assert set(seen.values()) == {None}
    assert {"a", "b", "c.length", "d.mean", "e.brightness", "e.sha256"} <= set(seen)


def test_a_table_is_observed_as_its_rows_are() -> None:
    kinds = [("n", "number"), ("c", "category"), ("b", "binary"), ("t", "text")]
    frame = pd.DataFrame(
        {
            "n": [1, "2.5", None, "x"],
            "c": ["a", 1.0, None, True],
            "b": ["yes", 0, None, "maybe"],
            "t": ["two words", "", None, "one"],
        },
        dtype="object",
    )
    by_table = observe_frame(kinds, frame).astype("object")
    by_row = pd.DataFrame([observe(kinds, row) for row in frame.to_dict("records")])
    pd.testing.assert_frame_equal(
        by_table.where(by_table.notna(), None), by_row.astype("object").where(by_row.notna(), None)
    )


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(), st.booleans()), max_size=20))
def test_any_numbers_are_observed_alike_in_rows_and_tables(values: list[object]) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype="object")})
    by_table = [None if math.isnan(x) else x for x in observe_frame([("x", "number")], frame)["x"]]
    assert by_table == [observe([("x", "number")], {"x": value})["x"] for value in values]


def test_a_column_that_the_table_lacks_is_all_missing() -> None:
    seen = observe_frame([("x", "number"), ("y", "category")], pd.DataFrame({"z": [1, 2]}))
    assert seen.isna().to_numpy().all()
    assert seen.shape == (2, 2)


def test_relative_paths_of_images_start_at_the_folder(tmp_path: Path) -> None:
    Image.new("L", (4, 2), 255).save(tmp_path / "white.png")
    frame = pd.DataFrame({"image": ["white.png", "missing.png", None]})
    seen = observe_frame([("image", "image")], frame, tmp_path)
    assert seen["image.brightness"].tolist()[0] == 1.0
    assert seen["image.width"].isna().tolist() == [False, True, True]


def test_what_names_a_row_is_not_in_the_table(tmp_path: Path) -> None:
    seen = observe_frame([("image", "image")], pd.DataFrame({"image": ["x.png"]}), tmp_path)
    assert "image.sha256" not in seen
    assert is_identity("image.sha256")


def test_packed_images_are_observed_as_their_files_are(tmp_path: Path) -> None:
    Image.new("L", (4, 2), 255).save(tmp_path / "white.png")
    content = (tmp_path / "white.png").read_bytes()
    frame = pd.DataFrame({"image": [content, content[:-30], None, math.nan]}, dtype="object")
    seen = observe_frame([("image", "image")], frame, tmp_path)
    by_row = [observe([("image", "image")], {"image": value}) for value in frame["image"]]
    for name in seen:
        found = [None if math.isnan(value) else value for value in seen[name]]
        assert found == [row[str(name)] for row in by_row]
    assert seen["image.brightness"].isna().tolist() == [False, True, True, True]
    file = observe([("image", "image")], {"image": tmp_path / "white.png"})
    assert by_row[0] == file, "the same picture is known again by its hash"
