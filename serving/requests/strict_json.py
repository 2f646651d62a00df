"""Read JSON as RFC 8259 would have it, in memory in proportion to the body."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

import orjson

from serving.http.problems import FieldProblem, Refusal, invalid

# Below this size nothing that JSON can say needs much memory.
SMALL: Final = 64 * 1024
MOST_CONTAINERS: Final = 200_000
MOST_VALUES: Final = 2_000_000
BOM: Final = b"\xef\xbb\xbf"
DEEPEST: Final = 6
_NESTED: Final = frozenset({dict, list})


def parse_json(body: bytes) -> object:
    """Parse a body.

    NaN and the infinities, which Python writes and JSON has not, are read, so that what is wrong
    can be named by row and field.

    Raises:
        Refusal: 400, it is not JSON, 413, it holds too many values, 422, a key stands twice.
    """
    body = body.removeprefix(BOM)
    if len(body) > SMALL:
        _check_values(body)
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _with_nan(body, error)
    # Of two equal keys the last would win, and nobody would know that the first was not used. As
    # many colons as keys means that there is none; to look closer costs ten times as much.
    colons = body.count(b":")
    if colons != _keys_of_rows(document) and colons != _keys(document):
        _refuse_double_keys(body)
    return document


def _check_values(body: bytes) -> None:
    """An empty list of two bytes becomes an object of fifty: bound what they add up to."""
    containers = body.count(b"[") + body.count(b"{")
    if containers > MOST_CONTAINERS or body.count(b",") > MOST_VALUES:
        detail = "the body holds too many values; send fewer rows at a time"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _with_nan(body: bytes, error: orjson.JSONDecodeError) -> object:
    if b"NaN" in body or b"Infinity" in body:
        try:
            document = json.loads(body, parse_int=_whole)
            json.dumps(document, ensure_ascii=False).encode()  # has lone surrogates?
        except (ValueError, RecursionError):
            pass
        else:
            return document
    detail = f"the body is not JSON: {error}"
    raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error


def _whole(digits: str) -> int | float:
    """As orjson reads it: what 64 bits do not hold becomes a float."""
    return int(digits) if len(digits) < 19 else float(digits)  # noqa: PLR2004 - digits of 2**63


def _keys_of_rows(document: object) -> int:
    """Count the keys of an object of lists of flat objects, which is what nearly all requests are."""
    if not isinstance(document, dict):
        return 0
    lists = (item for item in document.values() if type(item) is list)
    return len(document) + sum(len(row) for rows in lists for row in rows if type(row) is dict)


def _keys(document: object, depth: int = 0) -> int:
    """Count the keys of the objects that a request is made of; what lies deeper is left out."""
    if depth > DEEPEST:
        return 0
    if isinstance(document, dict):
        inner = sum(_keys(item, depth + 1) for item in document.values() if type(item) in _NESTED)
        return len(document) + inner
    if isinstance(document, list) and document and type(document[0]) in _NESTED:
        return sum(_keys(item, depth + 1) for item in document if type(item) in _NESTED)
    return 0


class _DoubleError(ValueError):
    """A key stands twice in one object."""


def _refuse_double_keys(body: bytes) -> None:
    def unique(pairs: list[tuple[str, object]]) -> None:
        names = {name for name, _ in pairs}
        if len(names) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    raise _DoubleError(name)
                seen.add(name)

    try:
        json.loads(body, object_pairs_hook=unique)
    except _DoubleError as error:
        problem = FieldProblem(field=str(error)[:100], message="stands twice in one object")
        raise invalid([problem]) from error
    except (ValueError, RecursionError):
        return
