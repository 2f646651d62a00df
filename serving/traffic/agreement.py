"""Whether two versions gave the same answer to one row: a pure comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from serving.model.masks import differing
from serving.model.outputs import Output

# Two trainings of one network agree in no digit, so a number is held against what it measures.
RELATIVE: Final = 0.05
ABSOLUTE: Final = 1e-9
MASK_SHARE: Final = 0.01


def agrees(one: Output, other: Output) -> bool:
    """Return whether all outputs agree.

    Labels and texts agree if they are equal; numbers if they differ by at most 5 % of the larger;
    lists of numbers if the length of their difference is at most 5 % of the longer of the two;
    masks if at most 1 % of the pixels differ.
    """
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> bool:
    left, right = one.get("prediction"), other.get("prediction")
    if "share" in one and isinstance(left, str) and isinstance(right, str):
        return left == right or differing(left, right) <= MASK_SHARE
    if _is_measure(left, right):
        return _near([left], [right])
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and (left == right or _near(left, right))
    return left == right


def _is_measure(left: JsonValue, right: JsonValue) -> bool:
    """A class may be a whole number; only what has been a fraction on either side is a measure."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (left, right))
    return numbers and (isinstance(left, float) or isinstance(right, float))


def _near(left: Sequence[JsonValue], right: Sequence[JsonValue]) -> bool:
    try:
        one = [float(value) for value in left]  # type: ignore[arg-type]
        other = [float(value) for value in right]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    apart = math.dist(one, other)
    return apart <= RELATIVE * max(math.hypot(*one), math.hypot(*other)) + ABSOLUTE
