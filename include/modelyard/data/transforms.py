"""The spec's changes to a table, one function a kind; each returns a new table."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelyard.data.words import listed, no_column
from modelyard.errors import DataError
from modelyard.spec.data import (
    Clip,
    DropColumns,
    DropDuplicates,
    DropMissing,
    FillMissing,
    Rename,
    Scalar,
)

if TYPE_CHECKING:
    import pandas as pd

Step = DropMissing | FillMissing | Clip | Rename | DropColumns | DropDuplicates


@functools.singledispatch
def change(step: Step, table: pd.DataFrame, field: str) -> pd.DataFrame:
    """Return the changed table; `field` is the step's place in the spec, for refusals."""
    raise NotImplementedError(type(step), table, field)


@change.register(DropMissing)
def _drop_missing(step: DropMissing, table: pd.DataFrame, field: str) -> pd.DataFrame:
    _require(table, step.columns or (), f"{field}.columns")
    kept = table.dropna(subset=list(step.columns) if step.columns else None)
    return _some_rows(kept, field)


@change.register(FillMissing)
def _fill_missing(step: FillMissing, table: pd.DataFrame, field: str) -> pd.DataFrame:
    _require(table, [step.column], f"{field}.column")
    values = table[step.column]
    if not values.isna().any():
        return table
    filler = step.value if step.strategy is None else _computed(values, step.strategy, field)
    _same_type(values, filler, field)
    return table.assign(**{step.column: values.fillna(filler)})


@change.register(Clip)
def _clip(step: Clip, table: pd.DataFrame, field: str) -> pd.DataFrame:
    _require(table, [step.column], f"{field}.column")
    _require_numbers(table[step.column], field)
    clipped = table[step.column].clip(lower=step.minimum, upper=step.maximum)
    return table.assign(**{step.column: clipped})


@change.register(Rename)
def _rename(step: Rename, table: pd.DataFrame, field: str) -> pd.DataFrame:
    _require(table, tuple(step.columns), f"{field}.columns")
    renamed = table.rename(columns=step.columns)
    repeated = sorted(set(renamed.columns[renamed.columns.duplicated()]))
    if repeated:
        message = f"{field}.columns: there would be two columns {listed(repeated)}"
        raise DataError(message)
    return renamed


@change.register(DropColumns)
def _drop_columns(step: DropColumns, table: pd.DataFrame, field: str) -> pd.DataFrame:
    _require(table, step.columns, f"{field}.columns")
    return table.drop(columns=list(step.columns))


@change.register(DropDuplicates)
def _drop_duplicates(step: DropDuplicates, table: pd.DataFrame, field: str) -> pd.DataFrame:
    _require(table, step.columns or (), f"{field}.columns")
    subset = list(step.columns) if step.columns else None
    return table.drop_duplicates(subset=subset)


def _computed(values: pd.Series[float], strategy: str, field: str) -> Scalar:
    present = values.dropna()
    if present.empty:
        message = f"{field}.column: {values.name} has no values to compute the {strategy} of"
        raise DataError(message, hint="give a value instead of a strategy")
    if strategy == "most_frequent":
        filler: Scalar = present.mode().iloc[0]
        return filler
    _require_numbers(values, field)
    return float(present.mean() if strategy == "mean" else present.median())


def _same_type(values: pd.Series[float], filler: Scalar | None, field: str) -> None:
    numeric = values.dtype.kind in "iuf"
    if numeric == isinstance(filler, str):
        kind = "numbers" if numeric else "text"
        message = f"{field}.value: {filler!r} does not fit column {values.name}, which holds {kind}"
        raise DataError(message)


def _require(table: pd.DataFrame, columns: Sequence[str], field: str) -> None:
    known = [str(name) for name in table.columns]
    for column in columns:
        if column not in known:
            raise no_column(field, column, known)


def _require_numbers(values: pd.Series[float], field: str) -> None:
    if values.dtype.kind not in "iuf":
        message = f"{field}.column: {values.name} does not hold numbers"
        raise DataError(message)


def _some_rows(table: pd.DataFrame, field: str) -> pd.DataFrame:
    if table.empty:
        message = f"{field}: no row is left"
        raise DataError(message, hint="name the columns that matter, or fill what is missing")
    return table
