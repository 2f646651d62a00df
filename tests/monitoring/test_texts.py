"""Words are known or not, however a text spells and marks them, and the list of them is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import MonitoringError
from modelyard.monitoring import texts
from modelyard.monitoring.texts import Vocabularies, Vocabulary, learn, measure_text

KNOWN = Vocabulary(frozenset({"to", "be", "or", "not", "naïve"}))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("to be or not to be", 0.0),
        ("To BE, or: not?", 0.0),
        ("to be or what", 0.25),
        ("nothing known", 1.0),
        ("Naïve", 0.0),
        ("... !!", 0.0),
        ("", 0.0),
    ],
)
def test_unknown_words_are_a_share_of_all(text: str, share: float) -> None:
    assert KNOWN.unknown(text) == share


def test_only_so_much_of_a_long_text_is_looked_at() -> None:
    assert KNOWN.unknown("to " * texts.READ + "what") == 0.0


def test_words_of_one_text_are_known_to_all_others_but_not_to_it() -> None:
    for_live, for_these = learn(["red rose", "red tulip", "tulip", None, 3.0])
    assert for_live.words == {"red", "rose", "tulip"}
    assert for_these.words == {"red", "tulip"}


def test_of_many_words_the_most_frequent_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MOST_WORDS", 2)
    for_live, _ = learn(["a b c", "a b", "a"])
    assert for_live.words == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "share"), [("plain", 0.0), ("ña", 0.5), ("日本", 1.0), ("", 0.0)], ids=ascii
)
def test_characters_beyond_ascii_are_a_share_of_all(text: str, share: float) -> None:
    assert measure_text(text)["non_ascii"] == share


def test_no_text_has_no_measures_and_a_blank_one_has() -> None:
    assert set(measure_text(None, KNOWN).values()) == {None}
    assert measure_text("  ")["words"] == 0.0
    assert measure_text("  ")["word_length"] == 0.0


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    Vocabularies({"a": KNOWN}).write(tmp_path)
    assert Vocabularies.read(tmp_path).of("a") == KNOWN
    assert Vocabularies.read(tmp_path).of("b") is None


def test_a_reference_of_an_older_modelyard_has_no_words(tmp_path: Path) -> None:
    Vocabularies({}).write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert Vocabularies.read(tmp_path).of("a") is None


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 3}'])
def test_a_broken_file_is_a_monitoring_error(tmp_path: Path, content: str) -> None:
    (tmp_path / texts.FILE).write_text(content)
    with pytest.raises(MonitoringError, match="vocabulary of the reference cannot be read"):
        Vocabularies.read(tmp_path)


@given(st.text(max_size=60))
def test_every_text_is_measured_in_finite_numbers_and_shares(text: str) -> None:
    measured = measure_text(text, KNOWN)
    assert all(isinstance(value, float) and value >= 0 for value in measured.values())
    assert all(0 <= float(measured[name] or 0) <= 1 for name in ("non_ascii", "unknown_words"))


@given(st.lists(st.text(alphabet="abc ", max_size=12), min_size=1, max_size=12))
def test_a_training_text_has_no_word_that_live_texts_may_not_have(rows: list[str]) -> None:
    for_live, for_these = learn(rows)
    assert for_these.words <= for_live.words
    assert all(for_live.unknown(row) == 0 for row in rows)
