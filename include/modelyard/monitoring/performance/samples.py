"""Answers and what was true of them, one sample an output: what every metric is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from modelyard.features import ModelSignature

if TYPE_CHECKING:
    import pandas as pd

    from modelyard.store.predictions import Labelled, Seen

type Floats = npt.NDArray[np.float64]
type Kind = Literal["label", "number"]
type Kinds = Mapping[str, Kind]

SIGNATURE: Final = "signature.json"
_KINDS: Final[Mapping[str, Kind]] = {
    "category": "label",
    "binary": "label",
    "number": "number",
    "image": "number",  # the share of a mask that is not background
}


@dataclass(frozen=True)
class Sample:
    """Answers of one output with their truths.

    Args:
        truth: Labels as text, or numbers; [rows].
        predicted: The same of the answers.
        probability: Of the predicted label; NaN where unknown.
    """

    truth: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    probability: Floats

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each label is the true one."""
        return np.asarray(self.truth == self.predicted, dtype=bool)

    @cached_property
    def error(self) -> Floats:
        """How far each number is above the true one."""
        return np.asarray(self.predicted - self.truth, dtype=np.float64)

    @property
    def sure(self) -> Sample:
        """The rows whose probability is known."""
        known = np.isfinite(self.probability)
        return self if known.all() else self.rows(known)

    def rows(self, which: npt.NDArray[Any]) -> Sample:
        """Take some of its rows."""
        return Sample(self.truth[which], self.predicted[which], self.probability[which])


@dataclass(frozen=True, slots=True)
class Window:
    """What a stretch of predictions holds: a sample an output, how many rows, and from when to when."""

    samples: Mapping[str, Sample]
    rows: int
    first_at: datetime
    last_at: datetime


def kinds_of(reference_folder: Path, reference: pd.DataFrame | None) -> dict[str, Kind]:
    """Say of each output whether it is a label or a number; of others nothing.

    The version's signature lies beside its reference; without one, the reference itself tells.
    """
    signature = _signature(reference_folder)
    if signature is None:
        return _guessed(reference)
    return {one.name: _KINDS[one.type] for one in signature.outputs if one.type in _KINDS}


def positives(reference_folder: Path) -> dict[str, str]:
    """Name the second label of each binary output, the one that is looked for."""
    signature = _signature(reference_folder)
    return {
        one.name: one.categories[1]
        for one in (() if signature is None else signature.outputs)
        if one.type == "binary" and one.categories is not None and len(one.categories) > 1
    }


def _signature(reference_folder: Path) -> ModelSignature | None:
    try:
        content = (reference_folder.parent / SIGNATURE).read_bytes()
        return ModelSignature.model_validate_json(content)
    except (OSError, ValidationError):
        return None


def _guessed(reference: pd.DataFrame | None) -> dict[str, Kind]:
    if reference is None:
        return {}
    from pandas.api.types import is_numeric_dtype

    found: dict[str, Kind] = {}
    for column in map(str, reference.columns):
        part, _, name = column.partition(".")
        if part == "truth":
            found[name] = "number" if is_numeric_dtype(reference[column]) else "label"
    return found


def of_reference(reference: pd.DataFrame, output: str, kind: Kind) -> Sample | None:
    """Read one output of the version's own test rows; None if they have none."""
    if f"truth.{output}" not in reference or f"predicted.{output}" not in reference:
        return None
    count = len(reference)
    probability = reference.get(f"probability.{output}", [np.nan] * count)
    return made(
        kind,
        reference[f"truth.{output}"].tolist(),
        reference[f"predicted.{output}"].tolist(),
        list(probability),
    )


def made(
    kind: Kind, truth: Sequence[Any], predicted: Sequence[Any], probability: Sequence[Any]
) -> Sample:
    """Make a sample; rows without an answer or with a truth of another kind are left out."""
    chances = np.array([_float(one) for one in probability], dtype=np.float64)
    if kind == "number":
        numbers = [np.array([_float(one) for one in side]) for side in (truth, predicted)]
        sample = Sample(numbers[0], numbers[1], chances)
        return sample.rows(np.isfinite(numbers[0]) & np.isfinite(numbers[1]))
    words = [_words(side) for side in (truth, predicted)]
    there = np.array([a is not None and b is not None for a, b in zip(*words, strict=True)], bool)
    return Sample(words[0], words[1], chances).rows(there)


def _words(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    return np.array([None if one is None else str(one) for one in values], dtype=object)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.nan
    return float(value)


class Gathered:
    """Gathers batches of logged predictions into samples, column by column."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._columns: dict[str, tuple[list[Any], list[Any], list[Any]]] = {
            name: ([], [], []) for name in kinds
        }
        self._ids: set[str] = set()
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def rows(self) -> int:
        """How many predictions it has."""
        return len(self._ids)

    def labelled(self, batch: Iterable[Labelled]) -> None:
        """Add predictions with what was true of them."""
        for one in batch:
            self._see(one)
            for output, truth in one.truth.items():
                if output in self._columns:
                    self._add(output, truth, one)

    def seen(self, batch: Iterable[Seen]) -> None:
        """Add predictions of which nothing is known to be true."""
        for one in batch:
            self._see(one)
            for output in self._columns:
                if output in one.outputs:
                    self._add(output, one.outputs[output], one)

    def window(self) -> Window | None:
        """Return the samples of outputs that have rows; None where there is no row at all."""
        if self._first is None or self._last is None:
            return None
        samples = {name: made(self._kinds[name], *self._columns[name]) for name in self._columns}
        return Window(
            {name: sample for name, sample in samples.items() if len(sample)},
            len(self._ids),
            self._first,
            self._last,
        )

    def _see(self, one: Labelled | Seen) -> None:
        self._ids.add(one.id)
        if self._first is None or one.at < self._first:
            self._first = one.at
        if self._last is None or one.at > self._last:
            self._last = one.at

    def _add(self, output: str, truth: Any, one: Labelled | Seen) -> None:
        truths, predicted, probability = self._columns[output]
        truths.append(truth)
        predicted.append(one.outputs.get(output))
        probability.append(one.probability.get(output))
