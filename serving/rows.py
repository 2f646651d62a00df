"""Check rows against the model's own features, and bring values into the form that it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from modelyard.features import ModelFeature, ModelSignature
from serving.images import MOST_PIXELS, BadImageError, check_image, from_base64
from serving.problems import MOST_LISTED, FieldProblem, invalid

type Row = dict[str, object]

MOST_PIXELS_A_REQUEST: Final = 4 * MOST_PIXELS
LONGEST_NAME: Final = 100
LARGEST_NUMBER: Final = 3.4e38


class _WrongError(ValueError):
    """The text says what is wrong, to follow the field's name."""


def check_rows(
    signature: ModelSignature, rows: Sequence[Mapping[str, object]], *, textual: bool = False
) -> list[Row]:
    """Return the rows as the model takes them: one value for each input, None where it is missing.

    Args:
        signature: The model's inputs and outputs.
        rows: One mapping of column to value each.
        textual: Whether all values came as text, as in a form, so that "1.5" is a number.

    Raises:
        Refusal: 422, naming each row and field.
    """
    problems: list[FieldProblem] = []
    budget = _Pixels()
    checked = [
        _check_row(signature, row, number, problems, budget, textual)
        for number, row in enumerate(rows, start=1)
    ]
    if problems:
        raise invalid(problems)
    return checked


def _check_row(  # noqa: PLR0913, PLR0917 - the loop's state, in one private place
    signature: ModelSignature,
    row: Mapping[str, object],
    number: int,
    problems: list[FieldProblem],
    budget: _Pixels,
    textual: bool,
) -> Row:
    columns = [feature.column for feature in signature.inputs]
    known = set(columns)
    for name in (name for name in row if name not in known):
        # Looking for a near word takes time, which hostile rows of many wrong names would use.
        hint = (
            _unknown(name[:LONGEST_NAME], columns, signature) if len(problems) < MOST_LISTED else ""
        )
        problems.append(FieldProblem(row=number, field=name[:LONGEST_NAME], message=hint))
    checked: Row = {}
    for feature in signature.inputs:
        try:
            checked[feature.column] = _check_value(feature, row, budget, textual)
        except (_WrongError, BadImageError) as error:
            problems.append(FieldProblem(row=number, field=feature.column, message=str(error)))
    return checked


def _unknown(name: str, columns: list[str], signature: ModelSignature) -> str:
    if name in {feature.column for feature in signature.outputs}:
        return "is what the model predicts; leave it out"
    near = get_close_matches(name, columns, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(columns[:20])}"
    return f"is not an input of this model; {hint}"


def _check_value(
    feature: ModelFeature, row: Mapping[str, object], budget: _Pixels, textual: bool
) -> object:
    value = row.get(feature.column)
    if value is None:
        if feature.required:
            message = "is missing"
            raise _WrongError(message)
        return None
    if feature.type == "image":
        return budget.image(value)
    if textual and feature.type == "number":
        value = _number_of_text(value)
    return _CHECKS.get(feature.type, _text)(feature, value)


class _Pixels:
    """Bounds the pixels of a whole request, for a small body can hold very large images."""

    def __init__(self) -> None:
        self._left = MOST_PIXELS_A_REQUEST

    def image(self, value: object) -> bytes:
        if isinstance(value, str):
            value = from_base64(value)
        if not isinstance(value, bytes):
            message = f"is {_kind(value)}; send the image in base64, or upload it as multipart"
            raise _WrongError(message)
        if self._left <= 0:
            message = f"comes after {MOST_PIXELS_A_REQUEST / 1e6:g} million pixels, the most that one request may hold"
            raise _WrongError(message)
        self._left -= check_image(value)
        return value


def _number(_feature: ModelFeature, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = f" {value[:40]!r}" if isinstance(value, str) else ""
        message = f"must be a number, and is {_kind(value)}{shown}"
        raise _WrongError(message)
    if isinstance(value, float) and not math.isfinite(value):
        message = "must be a finite number; send null for a missing value"
        raise _WrongError(message)
    if abs(value) > LARGEST_NUMBER:
        message = f"must be a number between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}"
        raise _WrongError(message)
    return float(value)


def _number_of_text(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _category(feature: ModelFeature, value: object) -> str:
    """An unknown category passes: the model has a place for those."""
    spellings = _spellings(value)
    known = feature.categories or ()
    return next((text for text in spellings if text in known), spellings[0])


def _binary(feature: ModelFeature, value: object) -> str:
    spellings = _spellings(value)
    if feature.categories is None:
        return spellings[0]
    for text in spellings:
        for known in feature.categories:
            if text.casefold() == known.casefold():
                return known
    message = f"must be one of {', '.join(feature.categories)}, and is {spellings[0][:40]!r}"
    raise _WrongError(message)


def _spellings(value: object) -> list[str]:
    """How training data may have written the value: 1 as 1, 1.0 or True."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return [str(value), str(int(value)), str(float(value))]
    if isinstance(value, int | float) and abs(value) <= LARGEST_NUMBER:
        whole = [str(int(value))] if float(value).is_integer() else []
        boolean = [str(bool(value))] if value in {0, 1} else []
        return list(dict.fromkeys([str(value), *whole, str(float(value)), *boolean]))
    message = f"must be text, and is {_kind(value)}"
    raise _WrongError(message)


def _text(_feature: ModelFeature, value: object) -> str:
    if isinstance(value, list):
        return " ".join(_spellings(item)[0] for item in value)
    return _spellings(value)[0]


def _numbers(feature: ModelFeature, value: object) -> str:
    """Series and vectors: a list of numbers, or text with spaces between them as in training."""
    if isinstance(value, str):
        value = [_number_of_text(part) for part in value.split()]
    if not isinstance(value, list):
        message = f"must be a list of numbers, and is {_kind(value)}"
        raise _WrongError(message)
    if not value:
        message = "has no step; send at least one number"
        raise _WrongError(message)
    for place, item in enumerate(value, start=1):
        try:
            _number(feature, item)
        except _WrongError as error:
            message = f"value {place} {error}"
            raise _WrongError(message) from error
    return " ".join(map(repr, value))


def _refused(feature: ModelFeature, _value: object) -> str:
    # Ludwig takes the value as the path of a file, which no request may name.
    message = f"is of type {feature.type}, which cannot be sent over HTTP"
    raise _WrongError(message)


_CHECKS: Final[Mapping[str, Callable[[ModelFeature, object], object]]] = {
    "number": _number,
    "category": _category,
    "binary": _binary,
    "timeseries": _numbers,
    "vector": _numbers,
    "audio": _refused,
}


_KINDS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bytes: "a file",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)
