"""Check one value against a feature of the model, and bring it into the form that it takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from modelyard.features import ModelFeature
from serving.requests.images import MOST_PIXELS, as_png, check_image, from_base64

MOST_PIXELS_A_REQUEST: Final = 4 * MOST_PIXELS
LARGEST_NUMBER: Final = 3.4e38
LONGEST_LABEL: Final = 1000
LONGEST_TEXT: Final = 100_000
MOST_STEPS: Final = 100_000
_H3: Final = re.compile(r"[0-9]{1,20}")

type Check = Callable[[object], object]


class WrongValueError(ValueError):
    """The text says what is wrong, to follow the field's name."""


class Pixels:
    """Bounds the pixels of a whole request, for a small body can hold very large images.

    Args:
        inline: How many pixels an image may have that is decoded at once.
    """

    def __init__(self, inline: int = MOST_PIXELS) -> None:
        self._left = MOST_PIXELS_A_REQUEST
        self._inline = inline

    def image(self, value: object) -> bytes:
        """Take an image's bytes, or base64 of them.

        Raises:
            WrongValueError: it is neither, or the request holds too many pixels.
            BadImageError: it cannot be decoded.
            ManyPixelsError: it is to be decoded elsewhere.
        """
        if isinstance(value, str):
            value = from_base64(value)
        if not isinstance(value, bytes):
            message = f"is {_kind(value)}; send the image in base64, or upload it as multipart"
            raise WrongValueError(message)
        if self._left <= 0:
            message = f"comes after {MOST_PIXELS_A_REQUEST / 1e6:g} million pixels, the most that one request may hold"
            raise WrongValueError(message)
        pixels = check_image(value, inline=self._inline)
        self._left -= pixels
        self._inline = max(0, self._inline - pixels)
        return as_png(value)


def check_for(feature: ModelFeature, *, textual: bool) -> Check:
    """Return what checks values of a feature other than an image.

    Args:
        feature: The model's input.
        textual: Whether all values came as text, as in a form, so that "1.5" is a number.
    """
    if feature.type == "number":
        return _textual_number if textual else number
    if feature.type == "category":
        return partial(_category, frozenset(feature.categories or ()))
    if feature.type == "binary":
        return partial(_binary, feature.categories)
    return _CHECKS.get(feature.type, partial(_refused, feature.type))


def number(value: object) -> float:
    """Take a finite number that a 32-bit float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = f" {value[:40]!r}" if isinstance(value, str) else ""
        message = f"must be a number, and is {_kind(value)}{shown}"
        raise WrongValueError(message)
    if isinstance(value, float) and not math.isfinite(value):
        message = "must be a finite number; send null for a missing value"
        raise WrongValueError(message)
    if abs(value) > LARGEST_NUMBER:
        message = f"must be a number between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}"
        raise WrongValueError(message)
    return float(value)


def _textual_number(value: object) -> float:
    return number(_of_text(value))


def _of_text(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) and len(value) <= LONGEST_LABEL else value
    except ValueError:
        return value


def _category(known: frozenset[str], value: object) -> str:
    """An unknown category passes: the model has a place for those."""
    spellings = _spellings(value)
    return next((text for text in spellings if text in known), spellings[0])


def _binary(known: tuple[str, ...] | None, value: object) -> str:
    spellings = _spellings(value)
    if known is None:
        return spellings[0]
    for text in spellings:
        for label in known:
            if text.casefold() == label.casefold():
                return label
    message = f"must be one of {', '.join(known)}, and is {spellings[0][:40]!r}"
    raise WrongValueError(message)


def _spellings(value: object) -> list[str]:
    """How training data may have written the value: 1 as 1, 1.0 or True."""
    if isinstance(value, str):
        return [_bounded(value, LONGEST_LABEL)]
    if isinstance(value, bool):
        return [str(value), str(int(value)), str(float(value))]
    if isinstance(value, int | float) and abs(value) <= LARGEST_NUMBER:
        whole = [str(int(value))] if float(value).is_integer() else []
        boolean = [str(bool(value))] if value in {0, 1} else []
        return list(dict.fromkeys([str(value), *whole, str(float(value)), *boolean]))
    message = f"must be text, and is {_kind(value)}"
    raise WrongValueError(message)


def _bounded(text: str, most: int) -> str:
    if len(text) > most:
        message = f"has {len(text)} characters; at most {most} are taken"
        raise WrongValueError(message)
    # PostgreSQL keeps no NUL in text, and the prediction could not be logged.
    if "\0" in text:
        message = "holds the character NUL, which no text may"
        raise WrongValueError(message)
    return text


def _text(value: object) -> str:
    if isinstance(value, list):
        _few(value)
        value = " ".join(_spellings(item)[0] for item in value)
    return _bounded(value, LONGEST_TEXT) if isinstance(value, str) else _spellings(value)[0]


def _numbers(value: object) -> str:
    """Series and vectors: a list of numbers, or text with spaces between them as in training."""
    if isinstance(value, str):
        value = [_of_text(part) for part in value.split(None, MOST_STEPS)]
    if not isinstance(value, list):
        message = f"must be a list of numbers, and is {_kind(value)}"
        raise WrongValueError(message)
    if not value:
        message = "has no step; send at least one number"
        raise WrongValueError(message)
    _few(value)
    for place, item in enumerate(value, start=1):
        if type(item) is float and -LARGEST_NUMBER <= item <= LARGEST_NUMBER:
            continue
        try:
            number(item)
        except WrongValueError as error:
            message = f"value {place} {error}"
            raise WrongValueError(message) from error
    return " ".join(map(repr, value))


def _few(values: list[object]) -> None:
    if len(values) > MOST_STEPS:
        message = f"has more than {MOST_STEPS} values"
        raise WrongValueError(message)


def _h3(value: object) -> str | int:
    """A cell of the H3 grid: a whole number, or its digits."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    if isinstance(value, str) and _H3.fullmatch(value) and int(value) < 2**63:
        return value
    message = f"must be an H3 cell as a whole number, and is {_kind(value)}"
    raise WrongValueError(message)


def _refused(kind: str, _value: object) -> str:
    # Ludwig takes audio as the path of a file, which no request may name.
    message = f"is of type {kind}, which cannot be sent over HTTP"
    raise WrongValueError(message)


_CHECKS: Final[Mapping[str, Check]] = {
    "timeseries": _numbers,
    "vector": _numbers,
    "text": _text,
    "sequence": _text,
    "set": _text,
    "bag": _text,
    "date": _text,
    "h3": _h3,
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
