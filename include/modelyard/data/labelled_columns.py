"""Which columns of the raw table an added row must fill, and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelyard.data.added import place
from modelyard.data.assign import NAMES
from modelyard.data.lineage import lineage
from modelyard.data.tables import spell
from modelyard.data.words import listed
from modelyard.errors import DataError
from modelyard.spec.data import DropMissing, SplitSpec
from modelyard.spec.models import Spec

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "labelled"

type Cell = str | float | bool | bytes | Sequence[JsonValue] | None
type Filler = Callable[[str, datetime], Cell]
"""Makes a value of a prediction's id and moment."""


def raw_columns(spec: Spec, table: pd.DataFrame) -> dict[str, str]:
    """Find the raw column of each feature.

    Raises:
        DataError: a transform makes it, or it is a mask, so rows cannot be added.
    """
    final = lineage([str(name) for name in table.columns], spec.data.transform)
    found: dict[str, str] = {}
    for feature in (*spec.inputs, *spec.outputs):
        origin = final.get(feature.column)
        if origin is None:
            message = f"{spec.name}: rows cannot be added to the data, for a transform makes the column {feature.column}"
            raise DataError(message, hint="set monitor.retrain.data: spec")
        found[feature.column] = origin
    masks = [feature.name for feature in spec.outputs if feature.type == "image"]
    if masks:
        message = f"{spec.name}: rows cannot be added to the data, for {masks[0]} is an image and gets no labels"
        raise DataError(message, hint="set monitor.retrain.data: spec")
    return found


def refuse_gaps(spec: Spec, table: pd.DataFrame, filled: set[str]) -> None:
    """Refuse rows that a check or a transform would not let through, for a column stays empty.

    Raises:
        DataError: such a column must have a value.
    """
    names = [str(name) for name in table.columns]
    empty = {name for name in names if name not in filled}
    needed = {check.column for check in spec.data.checks if check.not_null and check.column}
    final = lineage(names, spec.data.transform)
    for step in spec.data.transform:
        if isinstance(step, DropMissing):
            columns = [*final] if step.columns is None else step.columns
            needed |= {final.get(name) or name for name in columns}
    wanting = sorted(empty & needed)
    if wanting:
        message = f"{spec.name}: rows cannot be added to the data, for they have no {listed(wanting)}, which checks or drop_missing ask for"
        raise DataError(
            message, hint="name the columns in the check and the transform, or set data: spec"
        )


def holds_bytes(values: pd.Series[Any]) -> bool:
    """Whether a column holds images themselves, and not their paths."""
    return any(isinstance(value, bytes) for value in values.dropna().head(1))


def fillers_of(spec: Spec, table: pd.DataFrame, known: set[str]) -> dict[str, Filler]:
    """What to write into the column of the split, where the prediction does not say it."""
    how = spec.data.split
    column = how.column or how.group or how.blocks_of
    if column is None:
        return {}
    origin = lineage([str(name) for name in table.columns], spec.data.transform).get(column)
    if origin is None or origin in known:
        return {}
    return {origin: _filler(how, table[origin])}


def _filler(how: SplitSpec, values: pd.Series[Any]) -> Filler:
    """Name a split by the prediction's id; a prediction is a group, those of one hour a block."""
    if how.column is not None:
        own = _split_words(values)
        return lambda name, _at: own[place(name, how.fractions, how.seed)]
    numeric = values.dtype.kind in "iuf" and len(values) > 0
    first = int(values.max()) + 1 if numeric else 0
    room = _room(values, first)
    if how.blocks_of is None:
        # The end of an id is chance; its beginning is the moment, which a request's rows share.
        return lambda name, _at: (
            first + int(name[-12:], 16) % room if numeric else f"{FOLDER} {name}"
        )
    return lambda _name, at: (
        first + int(at.timestamp() // 3600) % room if numeric else f"{FOLDER} {at:%Y-%m-%dT%H}"
    )


def _room(values: pd.Series[Any], first: int) -> int:
    """How many numbers from `first` on the column's type can hold; two equal ones share a group."""
    import numpy as np

    if values.dtype.kind not in "iu":
        return 2**48
    return max(int(np.iinfo(str(values.dtype)).max) - first, 1)


def _split_words(values: pd.Series[Any]) -> tuple[str | float, ...]:
    """Spell the three splits as the column does: by number or by name."""
    numbers = {spell(value) for value in values.dropna().unique().tolist()} & {"0", "1", "2"}
    return (0, 1, 2) if numbers else NAMES
