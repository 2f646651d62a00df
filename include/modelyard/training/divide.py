"""Folds: rows divided as the spec's split does, so that each is held out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import SplitData
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.rows import SPLIT, TEST, VALIDATION, read_rows
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray
    from pandas import DataFrame

    Numbers = NDArray[int64]

MOST_PARTS = 20


def known_rows(spec: Spec, split: SplitData, workspace: Workspace) -> DataFrame:
    """The rows that folds are made of: all but the test rows, with what folds are made by."""
    columns = _needed_columns(spec, split, workspace)
    rows = read_rows(spec, split, workspace, columns)
    return rows[rows[SPLIT] != TEST].reset_index(drop=True)


def divide(spec: Spec, rows: DataFrame, count: int, validation_share: float) -> list[DataFrame]:
    """For each fold, the rows with a split column: the part held out is the test split.

    A validation split for early stopping is taken from the rest, in the same way.

    Raises:
        TrainingError: there are fewer rows, groups or blocks than folds.
    """
    parts = part_numbers(spec, rows, count)
    divided = []
    for number in range(count):
        split = (parts == number).astype("int64") * TEST
        rest = parts != number
        if validation_share > 0:
            pieces = min(MOST_PARTS, max(2, round(1 / validation_share)))
            inner = part_numbers(spec, rows[rest], pieces)
            split[rest] = (inner == number % pieces).astype("int64") * VALIDATION
        divided.append(rows.assign(**{SPLIT: split}))
    return divided


def part_numbers(spec: Spec, rows: DataFrame, count: int) -> Numbers:
    """Divide rows into parts as the spec's split does: by group, by block, or stratified.

    Raises:
        TrainingError: there are too few rows, groups or blocks.
    """
    import numpy as np

    how = spec.data.split
    numbers = np.zeros(len(rows), dtype="int64")
    if how.blocks_of is not None:
        return _blocks(rows[how.blocks_of].tolist(), count)
    for number, (_, held_out) in enumerate(_splitter(spec, rows, count)):
        numbers[held_out] = number
    return numbers


def _splitter(spec: Spec, rows: DataFrame, count: int) -> Any:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    group, labels = spec.data.split.group, _labels(spec, rows)
    try:
        if group is not None:
            return list(
                GroupKFold(count, shuffle=True, random_state=spec.seed).split(
                    rows, groups=rows[group]
                )
            )
        if labels is not None and rows[labels].value_counts().min() >= count:
            folds = StratifiedKFold(count, shuffle=True, random_state=spec.seed)
            return list(folds.split(rows, rows[labels].astype(str)))
        return list(KFold(count, shuffle=True, random_state=spec.seed).split(rows))
    except ValueError as error:
        message = f"cannot divide {len(rows)} rows into {count} parts: {error}"
        raise TrainingError(message, hint="give fewer folds") from error


def _labels(spec: Spec, rows: DataFrame) -> str | None:
    """The column whose shares each fold keeps."""
    chosen = spec.data.split.stratify
    found = [f.column for f in spec.outputs if f.type in {"category", "binary"}]
    column = chosen or next(iter(found), None)
    return column if column in rows else None


def _blocks(values: Sequence[Any], count: int) -> Numbers:
    """Neighbouring groups stay together, in the order of the table, about equally many rows a part."""
    import numpy as np

    order = list(dict.fromkeys(values))
    if len(order) < count:
        message = f"cannot divide {len(order)} blocks into {count} parts"
        raise TrainingError(message, hint="give fewer folds")
    parts = np.array_split(np.arange(len(order)), count)
    part_of = {order[i]: number for number, part in enumerate(parts) for i in part}
    return np.array([part_of[value] for value in values], dtype="int64")


def _needed_columns(spec: Spec, split: SplitData, workspace: Workspace) -> list[str]:
    """What folds are made by, beside the model's own columns."""
    import pyarrow.parquet as pq

    known = pq.read_schema(workspace.path(split.table)).names
    how = spec.data.split
    wanted = (how.stratify, how.group, how.blocks_of)
    return [column for column in wanted if column is not None and column in known]
