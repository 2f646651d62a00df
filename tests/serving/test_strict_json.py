"""JSON as RFC 8259 would have it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.http.problems import Refusal
from serving.requests.strict_json import parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def status(body: bytes) -> int:
    with pytest.raises(Refusal) as caught:
        parse_json(body)
    return caught.value.document.status


@settings(max_examples=40, deadline=None)
@given(VALUES.filter(lambda value: "Infinity" not in json.dumps(value)))
def test_what_python_writes_is_read_as_it_was(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_a_key_that_stands_twice_is_found_wherever_it_is(
    value: dict[str, object], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    text = json.dumps(value)
    double = f"{text[:-1]}, {json.dumps(name)}: 1}}"
    for body in (double, f'{{"rows": [{double}]}}', f'{{"a": ":", "b": [[{double}]]}}'):
        assert status(body.encode()) == 422


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": [Infinity]}', b'{"a": -Infinity}'])
def test_what_python_writes_besides_is_read_to_be_named_later(body: bytes) -> None:
    assert isinstance(parse_json(body), dict)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[NaN",
        b'{"a": "\\ud800"}',
        b'{"a": "\\ud800 NaN"}',
        b'{"\\ud800": NaN}',
        b"\xff",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": 1} {}',
        b"[" * 100_000,
        b"[" * 100_000 + b"NaN",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert status(body) == 400


def test_a_mark_of_the_byte_order_is_passed_over() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_number_that_no_float_holds_is_read_as_infinite_or_refused() -> None:
    document = parse_json(b'{"b": NaN, "a": ' + b"9" * 4000 + b"}")
    assert isinstance(document, dict)
    assert document["a"] == float("inf")
    assert status(b'{"a": 1e999}') == 400


@pytest.mark.parametrize("part", [b"[]", b"{}", b"1"])
def test_many_small_values_are_refused_before_they_take_memory(part: bytes) -> None:
    begun = time.process_time()
    assert status(b"[" + (part + b",") * 2_500_000 + part + b"]") == 413
    assert time.process_time() - begun < 1.0


def test_deep_documents_are_read_without_recursion_errors() -> None:
    depth = 900
    assert isinstance(parse_json(b'{"a":' * depth + b"1" + b"}" * depth), dict)
    assert status(b'{"a":1,"a":' * depth + b"1" + b"}" * depth) in {400, 422}
