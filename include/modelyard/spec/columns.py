"""Tell from a table's columns what they are, as Ludwig names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from modelyard.errors import DataError, UsageError
from modelyard.spec.hints import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

type Kind = Literal["number", "binary", "category", "image", "text", "timeseries", "date", "skip"]

IMAGES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_MOST_ROWS: Final = 200_000
_MOST_CLASSES: Final = 50
_FEW: Final = 20
_LOOKED_AT: Final = 200
_SERIES: Final = re.compile(
    r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?(?:[\s,]+[-+]?[\d.]+(?:[eE][-+]?\d+)?){2,}\s*"
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what was seen in it."""

    name: str
    kind: Kind
    missing: bool
    values: tuple[str | int | float | bool, ...] = ()
    rarest: float = 0.0
    commonest: float = 0.0
    reason: str = ""
    packed: bool = False


def read_table(table: Path, folder: Path | None = None) -> pd.DataFrame:
    """Read the head of a CSV or Parquet table."""
    import pandas as pd

    try:
        if table.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(table).head(_MOST_ROWS)
        else:
            frame = pd.read_csv(table, nrows=_MOST_ROWS)
    except (OSError, ValueError) as error:
        message = f"{folder or table} is not a CSV or Parquet table: {str(error).splitlines()[0]}"
        raise DataError(message) from error
    if frame.empty:
        message = f"{table} has no rows"
        raise DataError(message)
    return frame


def inspect(table: Path, target: str) -> tuple[list[Column], Column, int]:
    """Return the inputs, the target and the number of rows; raise UsageError if there is no target."""
    frame = read_table(table)
    names = [str(name) for name in frame.columns]
    frame.columns = names
    if target not in names:
        message = f"{table} has no column `{target}`"
        raise UsageError(message, hint=did_you_mean(target, names, of="columns"))
    inputs = [_input(frame[name], table.parent) for name in names if name != target]
    return inputs, _target(frame[target], table.parent), len(frame)


def _input(values: pd.Series, folder: Path) -> Column:
    known = values.dropna()
    missing = len(known) < len(values)
    name = str(values.name)
    distinct = known.nunique()
    if distinct <= 1:
        return Column(name, "skip", missing, reason="it has one value only")
    kind = _kind(known, folder, distinct)
    packed = isinstance(known.iloc[0], bytes)
    if kind == "skip":
        reason = "its bytes are no image" if packed else "it looks like an identifier"
        return Column(name, kind, missing, reason=reason)
    return Column(name, kind, missing, packed=packed)


def _kind(known: pd.Series, folder: Path, distinct: int) -> Kind:
    from pandas.api import types

    if types.is_bool_dtype(known):
        return "binary"
    if types.is_numeric_dtype(known):
        counted = types.is_integer_dtype(known) and distinct == len(known)
        steps = set(known.diff().dropna().unique()) if counted else set()
        if steps == {1}:
            return "skip"
        return "binary" if set(known.unique()) <= {0, 1} else "number"
    if types.is_datetime64_any_dtype(known):
        return "date"
    if isinstance(known.iloc[0], bytes):
        return "image" if _is_image(known.iloc[0]) else "skip"
    return _kind_of_text(known.astype(str), folder, distinct)


def _is_image(content: bytes) -> bool:
    """Tell whether bytes are an encoded image, as tables with packed images hold them."""
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        Image.open(io.BytesIO(content)).close()
    except (OSError, UnidentifiedImageError):
        return False
    return True


def _kind_of_text(known: pd.Series, folder: Path, distinct: int) -> Kind:
    head = [str(value) for value in known.head(_LOOKED_AT)]
    if all(value.lower().endswith(IMAGES) for value in head) and (folder / head[0]).is_file():
        return "image"
    if all(_DATE.fullmatch(value) for value in head):
        return "date"
    if all(_SERIES.fullmatch(value) for value in head):
        return "timeseries"
    if distinct <= max(_FEW, len(known) // 20):
        return "category"
    words = sum(len(value.split()) for value in head) / len(head)
    if words >= 3:  # noqa: PLR2004 - fewer are names or codes
        return "text"
    return "skip" if distinct == len(known) else "category"


def _target(values: pd.Series, folder: Path) -> Column:
    from pandas.api import types

    known = values.dropna()
    name = str(values.name)
    missing = len(known) < len(values)
    distinct = known.nunique()
    if distinct <= 1:
        message = f"the column `{name}` has one value only, so there is nothing to learn"
        raise UsageError(message)
    kind = _kind(known, folder, distinct)
    few = distinct <= min(_FEW, max(2, len(known) // 5))
    whole = types.is_numeric_dtype(known) and bool((known % 1 == 0).all())
    if kind == "number" and not (whole and few):
        return Column(name, "number", missing)
    if kind not in ("number", "binary", "category"):
        seen = "an identifier" if kind == "skip" else kind
        message = f"the column `{name}` looks like {seen}, which this command makes no model for"
        raise UsageError(message, hint="write the output feature by hand")
    shares = known.value_counts(normalize=True)
    classes = tuple(_scalar(value) for value in sorted(known.unique()))
    listed = classes if len(classes) <= _MOST_CLASSES else ()
    return Column(name, "category", missing, listed, float(shares.min()), float(shares.max()))


def _scalar(value: object) -> str | int | float | bool:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain if isinstance(plain, str | int | float | bool) else str(plain)
