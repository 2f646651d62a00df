"""Numbers, words and series are prepared as Ludwig prepares them, without pandas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import DataError
from modelyard.training.compiled.columns import Numbers, binary, category, series, text
from modelyard.training.compiled.plan import (
    BinaryInput,
    CategoryInput,
    NumberInput,
    Scaling,
    SeriesInput,
    TextInput,
)
from modelyard.training.compiled.tokens import TOKENIZERS

NONE = Scaling(kind="none")
PLACES = {"<EOS>": 0, "<SOS>": 1, "<PAD>": 2, "<UNK>": 3, "a": 4, "tree": 5, ".": 6}
floats = st.floats(-1e30, 1e30)


def number(name: str = "x", fill: float | None = 0.0, scaling: Scaling = NONE) -> NumberInput:
    return NumberInput(name=name, column=name, fill=fill, scaling=scaling)


def words(*, left: bool = False, length: int = 5, fill: str | None = "<UNK>") -> TextInput:
    return TextInput(
        name="t",
        column="t",
        fill=fill,
        tokenizer="space_punct",
        lowercase=True,
        places=PLACES,
        unknown=3,
        start=1,
        stop=0,
        padding=2,
        length=length,
        left=left,
    )


def steps(*, left: bool = False, length: int = 4, padding: float = 0.0) -> SeriesInput:
    return SeriesInput(
        name="s",
        column="s",
        fill="",
        tokenizer="space",
        padding=padding,
        length=length,
        left=left,
    )


@given(st.lists(floats, min_size=1, max_size=20), floats, st.floats(1e-3, 1e6))
def test_a_number_is_normalised_by_ludwigs_formula_to_the_last_bit(
    values: list[float], mean: float, deviation: float
) -> None:
    scaling = Scaling(kind="affine", shift=mean, scale=deviation)
    prepared = Numbers([number(scaling=scaling)])([{"x": value} for value in values])
    # As ZScoreTransformer.transform does to a column that cast_column made float32.
    with np.errstate(over="ignore"):
        expected = (np.array(values).astype(np.float32) - mean) / deviation
    assert prepared.dtype == np.float32
    np.testing.assert_array_equal(prepared[:, 0], expected)


@given(st.lists(st.tuples(floats, floats, floats), min_size=1, max_size=9))
def test_a_row_is_prepared_the_same_alone_and_among_others(
    rows: list[tuple[float, float, float]],
) -> None:
    plans = [
        number("x", scaling=Scaling(kind="affine", shift=3, scale=7)),
        number("y"),
        number("z", scaling=Scaling(kind="affine", shift=-1, scale=0.1)),
    ]
    prepare = Numbers(plans)
    named = [dict(zip("xyz", row, strict=True)) for row in rows]
    together = prepare(named)
    alone = np.concatenate([prepare([row]) for row in named])
    np.testing.assert_array_equal(together, alone)


def test_a_missing_number_is_filled_before_it_is_normalised() -> None:
    scaling = Scaling(kind="affine", shift=1.0, scale=2.0)
    assert Numbers([number(fill=5.0, scaling=scaling)])([{"x": None}, {}]).tolist() == [[2], [2]]


def test_a_number_that_must_not_miss_is_named_with_its_row() -> None:
    with pytest.raises(DataError, match="row 1, y: is missing"):
        Numbers([number(), number("y", None)])([{"x": 1.0, "y": 1.0}, {"x": 1.0, "y": None}])


def test_a_logarithm_is_taken_where_there_is_one_and_refused_elsewhere() -> None:
    prepare = Numbers([number(), number("y", scaling=Scaling(kind="log1p"))])
    assert prepare([{"x": -3.0, "y": 1.0}])[0].tolist() == [-3, np.log1p(np.float32(1))]
    with pytest.raises(DataError, match="row 0, y: must be above 0"):
        prepare([{"x": 1.0, "y": -0.5}])


def test_an_unknown_category_gets_the_unknown_ones_place() -> None:
    plan = CategoryInput(
        name="c", column="c", fill="<UNK>", places={"<UNK>": 0, "red": 1, "blue": 2}, unknown=0
    )
    prepared = category(plan)(["blue", " red ", "green", None, "Red"])
    assert prepared.tolist() == [2, 1, 0, 0, 0]


def test_a_category_that_must_not_miss_is_refused() -> None:
    plan = CategoryInput(name="c", column="c", fill=None, places={"red": 0}, unknown=0)
    with pytest.raises(DataError, match="row 0, c: is missing"):
        category(plan)([None])


@pytest.mark.parametrize(
    ("words", "fill", "values", "expected"),
    [
        ({}, False, ["True", "False", None], [True, False, False]),
        ({}, "True", [True, 0, 1.0, None], [True, False, True, True]),
        ({"sick": True, "well": False}, "sick", ["well", "sick", None], [False, True, True]),
    ],
)
def test_true_is_what_training_took_for_true(
    words: dict[str, bool], fill: str | bool, values: list[object], expected: list[bool]
) -> None:
    plan = BinaryInput(name="b", column="b", fill=fill, words=words)
    assert binary(plan)(values).tolist() == expected


def test_a_text_stands_between_its_marks_and_is_filled_up() -> None:
    assert text(words())(["A tree"]).tolist() == [[1, 4, 5, 0, 2]]
    assert text(words(left=True))(["a tree"]).tolist() == [[2, 1, 4, 5, 0]]
    assert text(words())(["", "stone", None]).tolist() == [
        [1, 0, 2, 2, 2],
        [1, 3, 0, 2, 2],
        [1, 3, 3, 3, 0],  # Ludwig cuts "<UNK>" into "<", "unk" and ">"
    ]


@given(st.text(max_size=40), st.integers(1, 8), st.booleans())
def test_any_text_becomes_as_many_places_as_the_network_reads(
    given_text: str, length: int, left: bool
) -> None:
    [row] = text(words(length=length, left=left))([given_text])
    assert len(row) == length
    assert set(row.tolist()) <= set(PLACES.values())


def test_a_series_is_filled_up_or_cut() -> None:
    assert series(steps())(["1 2.5", "1 2 3 4 5", "", None]).tolist() == [
        [1, 2.5, 0, 0],
        [1, 2, 3, 4],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert series(steps(left=True, padding=-1))(["1 nan"]).tolist() == [[-1, -1, 1, -1]]


def test_a_series_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="row 1, s: must be numbers"):
        series(steps())(["1", "one"])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4))
def test_the_numbers_of_a_series_survive_their_spelling(values: list[float]) -> None:
    [row] = series(steps())([" ".join(map(repr, values))])
    expected = np.array(" ".join(map(repr, values)).split() or []).astype(np.float32)
    np.testing.assert_array_equal(row[: len(values)], expected)


@pytest.mark.heavy
@settings(deadline=None)  # the first sentence waits for Ludwig
@given(sentence=st.text(max_size=30) | st.sampled_from(["a_b, c", "  x  ", "Ünïcode ½ ² _ 。"]))
@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_text_is_cut_as_ludwig_cuts_it(name: str, sentence: str) -> None:
    from ludwig.utils.tokenizers import get_tokenizer_from_registry

    assert TOKENIZERS[name](sentence) == get_tokenizer_from_registry(name)()(sentence)
