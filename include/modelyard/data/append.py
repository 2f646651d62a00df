"""Write a table again with rows added to it, in its own format; what was there keeps its spelling."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.data.added import BASE, MARKER
from modelyard.data.labelled_columns import Cell
from modelyard.data.tables import SEPARATORS, spell
from modelyard.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

# A cell may hold a whole series; pandas, which reads the table, knows no limit either.
csv.field_size_limit(2**31 - 1)

type Row = Mapping[str, Cell]


def append_rows(source: Path, rows: Sequence[Row], destination: Path) -> None:
    """Write the table `source` with `rows` below it; a column that a row lacks stays empty.

    Raises:
        DataError: a value does not fit the type of a Parquet column, or the table cannot be read.
    """
    if source.suffix.lower() == ".parquet":
        _append_parquet(source, rows, destination)
        return
    try:
        _append_text(source, rows, destination, SEPARATORS[source.suffix.lower()])
    except (csv.Error, UnicodeError) as error:
        message = f"rows cannot be added to {source.name}: {error}"
        raise DataError(message) from error


def _append_text(source: Path, rows: Sequence[Row], destination: Path, separator: str) -> None:
    with (
        source.open(encoding="utf-8-sig", newline="") as stream,
        destination.open("w", encoding="utf-8", newline="") as sink,
    ):
        reader = csv.reader(stream, delimiter=separator)
        writer = csv.writer(sink, delimiter=separator, lineterminator="\n")
        header = next(reader)
        marked = MARKER in header
        columns = header if marked else [*header, MARKER]
        writer.writerow(columns)
        width = len(header)
        for line in filter(None, reader):
            padded = [*line, *[""] * (width - len(line))]
            writer.writerow(padded if marked else [*padded, BASE])
        writer.writerows([_text(row.get(name)) for name in columns] for row in rows)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, list | tuple):  # a series, as Ludwig reads one from text
        return " ".join(map(spell, cell))
    return spell(cell)


def _append_parquet(source: Path, rows: Sequence[Row], destination: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    if MARKER not in table.column_names:
        table = table.append_column(MARKER, pa.array([BASE] * len(table), pa.string()))
    # Added rows have no values for columns that are no features.
    nullable = [field.with_nullable(True) for field in table.schema]
    table = table.cast(pa.schema(nullable, table.schema.metadata))
    columns = [
        _column(field, [row.get(field.name) for row in rows], source) for field in table.schema
    ]
    below = pa.Table.from_arrays(columns, schema=table.schema)
    pq.write_table(pa.concat_tables([table, below]), destination)


def _column(field: pa.Field, cells: list[Cell], source: Path) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_struct(field.type):  # images as Hugging Face packs them
        packed = [None if cell is None else {"bytes": cell, "path": None} for cell in cells]
        return pa.array(packed, type=field.type)
    with suppress(pa.ArrowException, TypeError, ValueError):
        return pa.array(cells).cast(field.type)  # told the type at once, it would cut 7.5 to 7
    try:
        return pa.array(_texts(cells), pa.string()).cast(field.type)
    except (pa.ArrowException, TypeError, ValueError) as error:
        message = (
            f"rows cannot be added to {source.name}: column {field.name} is {field.type}: {error}"
        )
        raise DataError(message) from error


def _texts(cells: Iterable[Any]) -> list[str | None]:
    return [None if cell is None else _text(cell) for cell in cells]
