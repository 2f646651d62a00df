"""Stage `split`: which rows train, validate and test, and the reference for drift."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import SplitData, TransformedData
from modelyard.data import added, assign
from modelyard.data.leakage import allowed, find_leakage
from modelyard.data.tables import canonical, read_table, row_keys, table_hash, write_table
from modelyard.data.words import listed, no_column, plural
from modelyard.errors import ChecksFailed, DataError, Problem
from modelyard.spec.data import SplitSpec
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

FORMAT = 1
COLUMN = "split"
VALUES = {
    "train": 0,
    "validation": 1,
    "test": 2,
    "0": 0,
    "1": 1,
    "2": 2,
}
MISSING = "\x00"
MANY = 0.5

MakeReference = Callable[["pd.DataFrame", Path, Path], None]


def split(
    spec: Spec,
    transformed: TransformedData,
    workspace: Workspace,
    make_reference: MakeReference,
) -> SplitData:
    """Divide the rows, refuse leakage, and have the training rows profiled."""
    features: list[JsonValue] = [feature.model_dump() for feature in (*spec.inputs, *spec.outputs)]
    depends_on: dict[str, JsonValue] = {
        "format": FORMAT,
        "data": transformed.key,
        "split": spec.data.split.model_dump(mode="json"),
        "features": features,
        "leakage": allowed(spec),
    }
    return workspace.once(
        SplitData,
        depends_on,
        lambda folder, key: _make(spec, transformed, workspace, make_reference, folder, key),
    )


def _make(  # noqa: PLR0913, PLR0917 - what the stage was given, and where to write
    spec: Spec,
    transformed: TransformedData,
    workspace: Workspace,
    make_reference: MakeReference,
    folder: Path,
    key: str,
) -> SplitData:
    table = read_table(workspace.path(transformed.table))
    files = workspace.path(transformed.folder)
    splits = assign_rows(table, spec.data.split)
    _refuse_leakage(spec, table, files, splits)
    divided = table.assign(**{COLUMN: splits})
    path = folder / "table.parquet"
    write_table(divided, path)
    reference = folder / "reference"
    reference.mkdir()
    make_reference(divided[divided[COLUMN] == 0].reset_index(drop=True), files, reference)
    counts = Counter(splits)
    rows = (counts[0], counts[1], counts[2])
    log.info("split: %s training, %s validation, %s test", *rows)
    return SplitData(
        key=key,
        table=workspace.relative(path),
        folder=transformed.folder,
        rows=rows,
        content_hash=table_hash(divided),
        reference=workspace.relative(reference),
    )


def assign_rows(table: pd.DataFrame, how: SplitSpec) -> list[int]:
    """Return 0, 1 or 2 for each row."""
    if added.has_added(table) and how.column is None:
        return added.divide(table, how, lambda rest: assign_rows(rest, how))
    if how.column is not None:
        splits = _by_column(table, how.column)
    elif how.stratify is not None:
        splits = _stratified(table, how, how.stratify)
    elif how.group is not None:
        groups = _groups(table, "group", how.group)
        splits = assign.by_group(groups, how.fractions, how.seed)
    elif how.blocks_of is not None:
        splits = assign.in_blocks(_groups(table, "blocks_of", how.blocks_of), how.fractions)
    else:
        splits = assign.at_random(_rows(table), how.fractions, how.seed)
    _refuse_empty(splits, how)
    return splits


def _rows(table: pd.DataFrame) -> list[str]:
    """Spell whole rows; columns by name, so that their order does not matter."""
    return row_keys(canonical(table[name]) for name in sorted(table.columns))


def _by_column(table: pd.DataFrame, column: str) -> list[int]:
    values = _column(table, "column", column)
    wrong = [row for row, value in enumerate(values, start=1) if value not in VALUES]
    if wrong:
        found = sorted({values[row - 1].replace(MISSING, "nothing") for row in wrong})
        message = f"data.split.column: {column} holds {listed(found)} in rows {listed(wrong)}"
        raise DataError(message, hint="it must say train, validation or test (or 0, 1, 2)")
    return [VALUES[value] for value in values]


def _stratified(table: pd.DataFrame, how: SplitSpec, column: str) -> list[int]:
    classes = _column(table, "stratify", column)
    counts = Counter(classes)
    splits = sum(fraction > 0 for fraction in how.fractions)
    rare = sorted(name for name, count in counts.items() if count < splits)
    if len(rare) > MANY * len(counts) and len(counts) > splits:
        message = f"data.split.stratify: most values of {column} occur in fewer than {splits} rows"
        raise DataError(message, hint="stratify by a column with few values, such as the label")
    if rare:
        spelt = [
            f"{name.replace(MISSING, 'nothing')} ({plural(counts[name], 'row')})" for name in rare
        ]
        message = f"data.split.stratify: {column} has values with fewer rows than there are splits: {listed(spelt)}"
        raise DataError(message, hint="drop or merge these rows, or leave stratify out")
    return assign.stratified(_rows(table), classes, how.fractions, how.seed)


def _groups(table: pd.DataFrame, field: str, column: str) -> list[str]:
    groups = _column(table, field, column)
    missing = [row for row, group in enumerate(groups, start=1) if group == MISSING]
    if missing:
        message = f"data.split.{field}: {column} is missing in rows {listed(missing)}"
        raise DataError(message, hint="fill it, or drop these rows, in data.transform")
    return groups


def _column(table: pd.DataFrame, field: str, column: str) -> list[str]:
    if column not in table.columns:
        place = f"data.split.{field}"
        raise no_column(place, column, [str(name) for name in table.columns])
    return canonical(table[column])


def _refuse_empty(splits: Sequence[int], how: SplitSpec) -> None:
    present = set(splits)
    if how.column is not None:
        wanted = {0}
    else:
        wanted = {split for split in assign.SPLITS if how.fractions[split] > 0}
    empty = [assign.NAMES[split] for split in sorted(wanted - present)]
    if empty:
        message = f"data.split: no rows are left for {listed(empty)}; there are {plural(len(splits), 'row')}"
        raise DataError(message, hint="more rows or groups, or other fractions, are needed")


def _refuse_leakage(spec: Spec, table: pd.DataFrame, files: Path, splits: Sequence[int]) -> None:
    if allowed(spec):
        return
    inputs = [feature for feature in spec.inputs if feature.column in table.columns]
    columns = [feature.column for feature in inputs]
    images = [feature.column for feature in inputs if feature.type == "image"]
    leak = find_leakage(table, columns, images, files, splits) if columns else None
    if leak is not None:
        message = f"{spec.name}: the same sample stands in two splits; rows are counted after the transforms"
        raise ChecksFailed(message, (Problem(leak.message, field="data.split"),))
