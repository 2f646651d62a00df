"""Reading, writing and hashing tables."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import PulledData
from modelyard.data.words import listed
from modelyard.errors import DataError
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

FIELD = "data.table"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
EXACT = 2**53


def read_raw(spec: Spec, pulled: PulledData, workspace: Workspace) -> pd.DataFrame | None:
    """Read the table as it was pulled; None where a transform makes it."""
    if pulled.table is None:
        return None
    return read_table(workspace.path(pulled.folder) / pulled.table, text_columns(spec))


def text_columns(spec: Spec) -> set[str]:
    """Name the columns that the spec says are text, even where they look like numbers."""
    return {check.column for check in spec.data.checks if check.type == "text" and check.column}


def read_table(path: Path, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file; the columns `text` of a CSV keep leading zeros."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix not in SEPARATORS:
        message = f"{FIELD}: {path.name} is no table that can be read"
        raise DataError(message, hint="tables are .csv, .tsv or .parquet")
    return _read_csv(path, SEPARATORS[suffix], text)


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        message = f"{FIELD}: {path.name} is not a readable Parquet file: {error}"
        raise DataError(message) from error
    table.columns = table.columns.map(str)
    _refuse_repeated(path, list(table.columns))
    for name in table.columns:
        if table[name].dtype == object and table[name].map(_is_packed).any():
            table[name] = table[name].map(lambda cell: cell["bytes"] if _is_packed(cell) else cell)
    return table.reset_index(drop=True)


def _is_packed(cell: object) -> bool:
    """Whether it is a file as Hugging Face packs one: its bytes, and the path that they were at."""
    return isinstance(cell, dict) and cell.keys() == {"bytes", "path"}


def _read_csv(path: Path, separator: str, text: Collection[str]) -> pd.DataFrame:
    import pandas as pd

    header = _header(path, separator)
    try:
        with warnings.catch_warnings():
            # pandas only warns when it drops what stands to the right of the last header
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                sep=separator,
                encoding="utf-8-sig",
                dtype=dict.fromkeys(set(text) & set(header), "str"),
                index_col=False,
                low_memory=False,
            )
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (ValueError, OSError, pd.errors.ParserWarning) as error:  # ParserError is a ValueError
        message = f"{FIELD}: {path.name} is not a readable table: {error}"
        raise DataError(message) from error


def _header(path: Path, separator: str) -> list[str]:
    """Read the first line by itself, as pandas renames repeated columns without a word."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream, delimiter=separator), [])
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (OSError, csv.Error) as error:
        message = f"{FIELD}: {path.name} is not a readable table: {error}"
        raise DataError(message) from error
    if not header:
        message = f"{FIELD}: {path.name} is empty"
        raise DataError(message)
    if len(header) == 1 and ";" in header[0]:
        message = f"{FIELD}: {path.name} seems to be separated by semicolons"
        raise DataError(message, hint="write it with commas, or as .tsv or .parquet")
    _refuse_repeated(path, header)
    return header


def _refuse_repeated(path: Path, header: list[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        message = f"{FIELD}: {path.name} has several columns called {listed(repeated)}"
        raise DataError(message)


def _not_utf8(path: Path) -> DataError:
    return DataError(f"{FIELD}: {path.name} is not UTF-8 text", hint="save it as UTF-8")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write Parquet; a column of mixed types is refused by name."""
    import pyarrow as pa

    try:
        table.to_parquet(path, engine="pyarrow", index=False)
    except (pa.ArrowException, ValueError, OSError) as error:
        message = f"the table cannot be written as Parquet: {error}"
        raise DataError(
            message, hint="a column must hold one type; see the column in the text"
        ) from error


def table_hash(table: pd.DataFrame) -> str:
    """SHA-256 of names, types and values, whatever wrote the file."""
    digest = hashlib.sha256()
    for name in table.columns:
        digest.update(json.dumps([name, _family(table[name])]).encode())
        for value in canonical(table[name]):
            digest.update(value.encode("utf-8", "surrogatepass") + b"\x1f")
    return digest.hexdigest()


def _family(values: pd.Series[Any]) -> str:
    """The kind of a column, in words that do not change with pandas."""
    return {"i": "number", "u": "number", "f": "number", "b": "boolean"}.get(
        values.dtype.kind, "other"
    )


def canonical(values: pd.Series[Any]) -> list[str]:
    """Spell each value so that equal values of any type and source are spelt the same."""
    missing = values.isna().tolist()
    return [
        "\x00" if absent else spell(value)
        for value, absent in zip(values.tolist(), missing, strict=True)
    ]


def spell(value: object) -> str:
    """Spell one value: 1, 1.0 and "1" are the same; True is "true"; bytes are their SHA-256."""
    if isinstance(value, bytes):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    if hasattr(value, "item"):
        value = value.item()  # a number of numpy's, whose repr is its own
    if isinstance(value, bool):
        return "true" if value else "false"
    if (
        isinstance(value, float)
        and math.isfinite(value)
        and value.is_integer()
        and abs(value) < EXACT
    ):
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def row_keys(columns: Iterable[list[str]]) -> list[str]:
    """Join canonical columns to one text a row."""
    return ["\x1f".join(row) for row in zip(*columns, strict=True)]
