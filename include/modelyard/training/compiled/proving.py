"""Hold a compiled model's answers against Ludwig's, row by row."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modelyard.features import ModelSignature
from modelyard.training.compiled.plan import TOLERANCE, NotCompiledError, Output, Row
from modelyard.training.predictor import answer_columns, first_image, size_of

if TYPE_CHECKING:
    from pandas import DataFrame

# A trace can hold the size of the batch that it was made with; these are others, one row first.
BATCHES = (1, 2, 5, 64, 1, 250)


class Answers(Protocol):
    """Whatever answers rows."""

    def answer(self, rows: Sequence[Row]) -> list[Output]:
        """Predict each row."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """That all rows were answered alike."""

    rows: int
    difference: float


def prove(
    model: Answers, signature: ModelSignature, test: DataFrame, predicted: DataFrame
) -> Proof:
    """Let the model answer all test rows, in batches of several sizes, and compare.

    Labels must be the same, masks in every pixel; numbers and probabilities may differ by
    TOLERANCE, times the number itself where it exceeds 1.

    Args:
        model: What is to be proved.
        signature: The model's inputs and outputs.
        test: The test rows.
        predicted: Ludwig's predictions of them.

    Raises:
        NotCompiledError: an answer differs; says which.
    """
    rows = TestRows(signature, test)
    image = first_image(signature)
    largest = 0.0
    for start, end in batches(len(test)):
        given = [rows[number] for number in range(start, end)]
        sizes = [None if image is None else size_of(_image(row[image])) for row in given]
        expected = answer_columns(signature, predicted.iloc[start:end], sizes)
        for number, output in enumerate(model.answer(given)):
            wanted = {name: values[number] for name, values in expected.items()}
            largest = max(largest, _compare(output, wanted, f"test row {start + number}"))
    return Proof(len(test), largest)


def batches(count: int) -> Iterator[tuple[int, int]]:
    """Cut 0..count into pieces of the sizes of BATCHES, again and again."""
    start = 0
    for size in cycle(BATCHES):
        if start >= count:
            return
        yield start, min(start + size, count)
        start += size


class TestRows(Sequence[Row]):
    """Rows of the table as the endpoint hands them on: an image as bytes, a label as text."""

    __test__ = False

    def __init__(self, signature: ModelSignature, table: DataFrame) -> None:
        self._values = {
            one.column: (one.type, table[one.column].tolist(), table[one.column].isna().tolist())
            for one in signature.inputs
        }
        self._count = len(table)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        return {
            name: None if gaps[number] else _as_sent(kind, values[number])
            for name, (kind, values, gaps) in self._values.items()
        }


def _as_sent(kind: str, value: Any) -> object:
    if kind == "image":
        return bytes(value) if isinstance(value, bytes) else Path(value).read_bytes()
    return float(value) if kind == "number" else str(value)


def _image(value: object) -> bytes:
    if not isinstance(value, bytes):
        message = "an image of the test split is missing"
        raise NotCompiledError(message)
    return value


def _compare(output: Output, wanted: Mapping[str, Any], place: str) -> float:
    """Return the largest difference of one row; raise NotCompiledError if it is too large."""
    found = {name: value for one in output for name, value in _columns(one, output[one])}
    if found.keys() != wanted.keys():
        message = f"{place}: it answers {sorted(found)}, and Ludwig {sorted(wanted)}"
        raise NotCompiledError(message)
    return max(_difference(found[name], wanted[name], f"{place}, {name}") for name in wanted)


def _columns(name: str, parts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for part, value in parts.items():
        yield (name if part == "prediction" else f"{name}_{part}", value)


def _difference(found: Any, wanted: Any, place: str) -> float:
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping) or list(found) != list(wanted):
            raise _unequal(found, wanted, place)
        return max((_difference(found[key], wanted[key], place) for key in wanted), default=0.0)
    if isinstance(wanted, float) and isinstance(found, float):
        difference = abs(found - wanted) / max(1.0, abs(wanted))
        if not difference <= TOLERANCE:
            raise _unequal(found, wanted, place)
        return difference
    if isinstance(wanted, float) and found is None and not abs(wanted) < float("inf"):
        return 0.0
    if found != wanted and not _same_picture(found, wanted):
        raise _unequal(found, wanted, place)
    return 0.0


def _same_picture(found: Any, wanted: Any) -> bool:
    import numpy as np
    from PIL import Image

    try:
        one, other = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in (found, wanted)
        )
    except (OSError, ValueError, TypeError):
        return False
    return bool(np.array_equal(one, other))


def _unequal(found: Any, wanted: Any, place: str) -> NotCompiledError:
    shown = [repr(value)[:60] for value in (found, wanted)]
    return NotCompiledError(f"{place}: it answers {shown[0]}, and Ludwig {shown[1]}")
