"""Settings become flat parameters that MLflow takes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from modelyard.tracking.params import LONGEST_KEY, LONGEST_VALUE, MOST, flatten, safe_key

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=20,
)


def test_nested_settings_have_dotted_keys() -> None:
    assert flatten({"trainer": {"optimizer": {"type": "adam"}, "epochs": 3}}) == {
        "trainer.optimizer.type": "adam",
        "trainer.epochs": "3",
    }


def test_features_go_by_their_names() -> None:
    features = [{"name": "image", "type": "image"}, {"type": "odd"}]
    assert flatten({"f": features}) == {
        "f.image.name": "image",
        "f.image.type": "image",
        "f.1.type": "odd",
    }


def test_plain_lists_and_empty_sections_are_values() -> None:
    assert flatten({"a": [1, 2], "b": {}, "c": None}) == {"a": "[1, 2]", "b": "{}", "c": "null"}


def test_of_very_many_the_rest_is_left_out() -> None:
    flat = flatten({str(number): number for number in range(MOST + 50)})
    assert len(flat) == MOST + 1
    assert "left_out" in flat


def test_a_long_value_is_cut() -> None:
    assert len(flatten({"text": "x" * 10_000})["text"]) == LONGEST_VALUE


@given(st.dictionaries(st.text(max_size=5), values, max_size=5))
def test_every_key_and_value_is_within_mlflows_limits(settings: dict[str, object]) -> None:
    for key, value in flatten(settings).items():  # type: ignore[arg-type]
        assert re.fullmatch(r"[\w\-. :/]*", key)
        assert len(key) <= LONGEST_KEY
        assert len(value) <= LONGEST_VALUE


@given(st.text(max_size=400))
def test_a_safe_key_stays_as_it_is(text: str) -> None:
    assert safe_key(safe_key(text)) == safe_key(text)
