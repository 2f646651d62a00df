"""Prepare numbers, words and series as Ludwig does, without pandas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from modelyard.errors import DataError
from modelyard.training.compiled.plan import (
    BinaryInput,
    CategoryInput,
    NumberInput,
    Row,
    SeriesInput,
    TextInput,
)
from modelyard.training.compiled.tokens import TOKENIZERS

type Array = npt.NDArray[Any]
type Column = Callable[[Sequence[object]], Array]

# ludwig/utils/strings_utils.py
TRUE_WORDS: Final = frozenset({"yes", "y", "true", "t", "1", "1.0"})


class Numbers:
    """All number inputs together."""

    def __init__(self, plans: Sequence[NumberInput]) -> None:
        self._columns = [plan.column for plan in plans]
        self._fills = np.array(
            [np.nan if plan.fill is None else plan.fill for plan in plans], dtype=np.float32
        )
        affine = [plan.scaling for plan in plans]
        # Ludwig computes (x - mean) / deviation in single precision.
        self._shift = np.array([one.shift for one in affine], dtype=np.float32)
        self._scale = np.array([one.scale for one in affine], dtype=np.float32)
        self._logs = [place for place, one in enumerate(affine) if one.kind == "log1p"]

    def __call__(self, rows: Sequence[Row]) -> Array:
        """Return [rows, numbers] in single precision.

        Raises:
            DataError: a number is missing that must not, or has no logarithm.
        """
        columns = self._columns
        values = np.array([[row.get(name) for name in columns] for row in rows], dtype=np.float64)
        with np.errstate(over="ignore"):
            numbers = values.astype(np.float32)
        gaps = np.isnan(numbers)
        if gaps.any():
            numbers = np.where(gaps, self._fills, numbers)
            self._refuse(np.isnan(numbers), "is missing")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled: Array = (numbers - self._shift) / self._scale
        if self._logs:
            logs = numbers[:, self._logs]
            self._refuse_logs(logs)
            scaled[:, self._logs] = np.log1p(logs)
        return scaled

    def _refuse(self, wrong: Array, says: str) -> None:
        for row, place in np.argwhere(wrong)[:1]:
            message = f"row {row}, {self._columns[place]}: {says}"
            raise DataError(message)

    def _refuse_logs(self, logs: Array) -> None:
        wrong = np.zeros((len(logs), len(self._columns)), dtype=bool)
        wrong[:, self._logs] = logs <= 0
        self._refuse(wrong, "must be above 0, for the model takes its logarithm")


def category(plan: CategoryInput) -> Column:
    """Words to places; a word that training had not has the unknown one's."""
    places, unknown = plan.places, plan.unknown

    def column(values: Sequence[object]) -> Array:
        words = _words(values, plan.fill, plan.column)
        return np.array([places.get(word.strip(), unknown) for word in words], dtype=np.int32)

    return column


def binary(plan: BinaryInput) -> Column:
    """Words, numbers or booleans to true and false."""

    def one(value: object, number: int) -> bool:
        if value is None:
            value = plan.fill
        if value is None:
            raise _missing(number, plan.column)
        if isinstance(value, str):
            known = plan.words.get(value)
            return value.lower() in TRUE_WORDS if known is None else known
        return bool(value)

    def column(values: Sequence[object]) -> Array:
        return np.array([one(value, number) for number, value in enumerate(values)], dtype=np.bool_)

    return column


def text(plan: TextInput) -> Column:
    """Tokens to places, between a mark of the start and one of the end, padded or cut."""
    cut, places, unknown, length = (
        TOKENIZERS[plan.tokenizer],
        plan.places,
        plan.unknown,
        plan.length,
    )

    def column(values: Sequence[object]) -> Array:
        matrix = np.full((len(values), length), plan.padding, dtype=np.int32)
        for number, word in enumerate(_words(values, plan.fill, plan.column)):
            tokens = cut(word.lower() if plan.lowercase else word)
            found = [places.get(token, unknown) for token in tokens[:length]]
            whole = [plan.start, *found, plan.stop][:length]
            if plan.left:
                matrix[number, length - len(whole) :] = whole
            else:
                matrix[number, : len(whole)] = whole
        return matrix

    return column


def series(plan: SeriesInput) -> Column:
    """Numbers with spaces between them to steps, padded or cut."""
    cut, length = TOKENIZERS[plan.tokenizer], plan.length

    def column(values: Sequence[object]) -> Array:
        matrix = np.full((len(values), length), plan.padding, dtype=np.float32)
        with np.errstate(over="ignore"):
            for number, word in enumerate(_words(values, plan.fill, plan.column)):
                steps = _steps(cut(word)[:length], number, plan.column)
                if plan.left:
                    matrix[number, length - len(steps) :] = steps
                else:
                    matrix[number, : len(steps)] = steps
        return np.nan_to_num(matrix, copy=False, nan=plan.padding)

    return column


def _steps(tokens: list[str], number: int, column: str) -> list[float]:
    try:
        return [float(token) for token in tokens]
    except ValueError as error:
        message = f"row {number}, {column}: must be numbers with spaces between them"
        raise DataError(message) from error


def _words(values: Sequence[object], fill: str | None, column: str) -> list[str]:
    words = [fill if value is None else str(value) for value in values]
    for number, word in enumerate(words):
        if word is None:
            raise _missing(number, column)
    return [word for word in words if word is not None]


def _missing(number: int, column: str) -> DataError:
    return DataError(f"row {number}, {column}: is missing")
