"""What is observed of an input: a few scalars that can be logged, profiled and compared.

The reference and the live inputs go through the same functions, so they mean the same. A value
that is not there, cannot be read or is not finite is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.images import measure_image

if TYPE_CHECKING:
    import pandas as pd

type Scalar = str | float | None
type Features = Sequence[tuple[str, str]]
type Measure = Callable[[object], dict[str, Scalar]]

LONGEST_WORD: Final = 200
TRUE: Final = frozenset({"yes", "y", "true", "t", "1", "1.0", "on"})
FALSE: Final = frozenset({"no", "n", "false", "f", "0", "0.0", "off", "-1", "-1.0"})
WORD: Final = frozenset({"category", "binary", "h3"})


def observe(features: Features, row: Mapping[str, object]) -> dict[str, Scalar]:
    """Observe one row; `features` are (key in the row, Ludwig's type).

    Numbers and categories keep their name; others get measures, such as `image.brightness`. An
    image may be a path, bytes, an array or a PIL image, and is also identified by `image.sha256`.
    """
    observed: dict[str, Scalar] = {}
    for name, kind in features:
        given = row.get(name)
        if kind == "number" and type(given) is float:
            # Most of what is served is this, a thousand times a second.
            observed[name] = given if math.isfinite(given) else None
            continue
        for measure, value in measure_of(kind)(given).items():
            observed[f"{name}.{measure}" if measure else name] = value
    return observed


def observe_frame(
    features: Features, frame: pd.DataFrame, folder: Path | None = None
) -> pd.DataFrame:
    """Observe all rows of a table; relative paths of images start at `folder`."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name, kind in features:
        values = frame[name] if name in frame else pd.Series([None] * len(frame))
        if kind == "number":
            columns[name] = _numbers(values)
            continue
        found = [_below(folder, value) for value in values] if kind == "image" else list(values)
        for measure, column in _measured(measure_of(kind), found).items():
            columns[f"{name}.{measure}" if measure else name] = column
    return pd.DataFrame(columns, index=range(len(frame)))


def is_identity(column: str) -> bool:
    """Whether an observed column names its row, so that it has no distribution."""
    return column.endswith(".sha256")


def measure_of(kind: str) -> Measure:
    """Return what is measured of a feature of this type."""
    return MEASURES.get(kind, _text)


def _below(folder: Path | None, value: object) -> object:
    return folder / value if folder is not None and isinstance(value, str) and value else value


def _numbers(values: pd.Series) -> pd.Series:
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").astype("float64").to_numpy(copy=True)
    numbers[~np.isfinite(numbers)] = np.nan
    return pd.Series(numbers)


def _measured(measure: Measure, values: Iterable[object]) -> dict[str, pd.Series]:
    """Measure each value; a measure is a column of floats, or of words where it has any."""
    import pandas as pd

    rows = [measure(value) for value in values]
    names = list(measure(None))
    columns = {}
    for name in names:
        if is_identity(f".{name}"):
            continue
        column = pd.Series([row[name] for row in rows], dtype="object")
        columns[name] = column if name == "" else column.astype("float64")
    return columns


def _plain(value: object) -> object:
    """Unwrap a NumPy scalar; None for every way of saying that nothing is there."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and not value:
        return None
    # pandas says NA and NaT, and this module is imported without pandas.
    return None if type(value).__name__ in {"NAType", "NaTType"} else value


def _number(value: object) -> dict[str, Scalar]:
    return {"": _float(value)}


def _float(value: object) -> float | None:
    plain = _plain(value)
    if not isinstance(plain, int | float | str):
        return None
    try:
        number = float(plain)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _word(value: object) -> str | None:
    plain = _plain(value)
    if plain is None:
        return None
    if isinstance(plain, bool):
        return str(plain).lower()
    # A column of whole numbers with gaps is read as floats; 3 and 3.0 are the same class.
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    return str(plain)[:LONGEST_WORD]


def _category(value: object) -> dict[str, Scalar]:
    return {"": _word(value)}


def _binary(value: object) -> dict[str, Scalar]:
    word = _word(value)
    known = (word or "").strip().lower()
    return {"": "true" if known in TRUE else "false" if known in FALSE else word}


def _text(value: object) -> dict[str, Scalar]:
    plain = _plain(value)
    if plain is None:
        return {"length": None, "words": None}
    text = str(plain)
    return {"length": float(len(text)), "words": float(len(text.split()))}


def _items(value: object) -> list[object] | None:
    """Read a series: a list, an array, or text with spaces or commas, as Ludwig takes it."""
    plain = value.tolist() if hasattr(value, "tolist") else _plain(value)
    if isinstance(plain, str):
        return list(plain.replace(",", " ").split())
    return list(plain) if isinstance(plain, list | tuple | set | frozenset) else None


def _series(value: object) -> dict[str, Scalar]:
    items = _items(value)
    if items is None:
        return {"length": None, "mean": None}
    numbers = [number for number in map(_float, items) if number is not None]
    mean = math.fsum(numbers) / len(numbers) if numbers else None
    return {"length": float(len(items)), "mean": mean}


def _collection(value: object) -> dict[str, Scalar]:
    items = _items(value)
    return {"length": None if items is None else float(len(items))}


def _image(value: object) -> dict[str, Scalar]:
    return measure_image(_plain(value) if isinstance(value, str) else value)


MEASURES: Final[Mapping[str, Measure]] = {
    "number": _number,
    "category": _category,
    "h3": _category,
    "binary": _binary,
    "text": _text,
    "timeseries": _series,
    "vector": _series,
    "sequence": _collection,
    "set": _collection,
    "bag": _collection,
    "image": _image,
}
