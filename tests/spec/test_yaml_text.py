"""What plain YAML values mean, and that writing and reading are inverse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.spec import json_text, yaml_text

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(
        ["no", "1e-5", "010", "~", "null", "1_000", "1:30", "2026-01-01", "<<", "=", ""]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_written_is_read_again(value: dict[str, Any]) -> None:
    read, _places, findings = yaml_text.read(yaml_text.write(value))
    assert findings == []
    assert read == value


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_json_is_read_with_a_line_for_every_field(value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=1)
    read, places, findings = json_text.read(text)
    assert findings == []
    assert read == value
    for key in value:
        line = text.splitlines()[places[(key,)] - 1]
        assert line.strip().startswith(json.dumps(key))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-0", 0),
        ("1e-5", 1e-5),
        ("1.", 1.0),
        (".5", 0.5),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ("y", "y"),
        ("nan", "nan"),
        ("v1.2.3", "v1.2.3"),
    ],
)
def test_a_plain_value_means_what_yaml_1_2_says(text: str, value: object) -> None:
    found = yaml_text.plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["yes", "No", "ON", "off", "010", "08", "0o17", "0b1", "1_000", "1:30", ".inf", "9" * 30],
)
def test_what_readers_do_not_agree_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        yaml_text.plain(text)


def test_quotes_make_it_text() -> None:
    value, _places, findings = yaml_text.read("""{a: "no", b: '010', c: "1e5"}""")
    assert value == {"a": "no", "b": "010", "c": "1e5"}
    assert findings == []


def test_every_entry_has_its_line() -> None:
    _value, places, _findings = yaml_text.read("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    assert places[("a",)] == 1
    assert places[("a", "b")] == 2
    assert places[("a", "c", 0)] == 4
    assert places[("a", "c", 1, "y")] == 5


def test_an_anchor_inside_itself_is_refused() -> None:
    with pytest.raises(yaml_text.Unreadable, match="no complete anchor"):
        yaml_text.read("a: &a [*a]")
