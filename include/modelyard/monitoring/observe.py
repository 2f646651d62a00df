"""What is observed of an input: a few scalars that can be logged, profiled and compared.

The reference and the live inputs go through the same functions, so they mean the same. A value
that is not there, cannot be read or is not finite is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.images import measure_image
from modelyard.monitoring.texts import NO_VOCABULARIES, Vocabularies, Vocabulary, measure_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

type Scalar = str | float | None
type Features = Sequence[tuple[str, str]]
type Measure = Callable[[object], dict[str, Scalar]]

LONGEST_WORD: Final = 200
WHOLE: Final = re.compile(r"-?[0-9]+\.0")
TRUE: Final = frozenset({"yes", "y", "true", "t", "1", "1.0", "on"})
FALSE: Final = frozenset({"no", "n", "false", "f", "0", "0.0", "off", "-1", "-1.0"})
SPREAD: Final = ("mean", "std", "min", "max")


def observe(
    features: Features,
    row: Mapping[str, object],
    vocabularies: Vocabularies = NO_VOCABULARIES,
) -> dict[str, Scalar]:
    """Observe one row; `features` are (key in the row, Ludwig's type).

    Numbers and categories keep their name; others get measures, such as `image.brightness`. An
    image may be a path, bytes, an array or a PIL image, and is also identified by `image.sha256`.
    Texts are also held against the vocabulary of the training rows, where it is given.
    """
    observed: dict[str, Scalar] = {}
    for name, kind in features:
        given = row.get(name)
        if kind == "number" and type(given) is float:
            # Most of what is served is this, a thousand times a second.
            observed[name] = given if math.isfinite(given) else None
            continue
        for measure, value in measure_of(kind, vocabularies.of(name))(given).items():
            observed[f"{name}.{measure}" if measure else name] = value
    return observed


def observe_frame(
    features: Features,
    frame: pd.DataFrame,
    folder: Path | None = None,
    vocabularies: Vocabularies = NO_VOCABULARIES,
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
        measure_one = measure_of(kind, vocabularies.of(name))
        for measure, column in _measured(measure_one, found).items():
            columns[f"{name}.{measure}" if measure else name] = column
    return pd.DataFrame(columns, index=range(len(frame)))


def is_identity(column: str) -> bool:
    """Whether an observed column names its row, so that it has no distribution."""
    return column.endswith(".sha256")


def observe_output(name: str, value: object) -> dict[str, Scalar]:
    """Observe what was predicted for one output, as columns `predicted.NAME`.

    Numbers and labels keep that name; of a list (a set of labels, a vector, a series) there are
    its measures, such as `predicted.NAME.length`.
    """
    if isinstance(value, list):
        return {f"predicted.{name}.{part}": found for part, found in _vector(value).items()}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {f"predicted.{name}": _float(value) if is_number else as_word(value)}


def measure_of(kind: str, vocabulary: Vocabulary | None = None) -> Measure:
    """Return what is measured of a feature of this type."""
    if kind == "text" and vocabulary is not None:
        return partial(_text, vocabulary=vocabulary)
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


def word(value: object) -> str:
    """Spell a category in one way: 3 for 3.0 and "3.0", true for True and "True".

    A table with gaps has floats for whole numbers, and Ludwig's vocabulary, which the endpoint
    brings requests to, spells values as Python does.
    """
    if isinstance(value, bool) or (isinstance(value, str) and value in {"True", "False"}):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return text[:-2] if WHOLE.fullmatch(text) else text


def as_word(value: object) -> str | None:
    """Write a value as a category: the same in a table, in JSON and in a request; None for none."""
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
    return {"": as_word(value)}


def _binary(value: object) -> dict[str, Scalar]:
    word = as_word(value)
    known = (word or "").strip().lower()
    return {"": "true" if known in TRUE else "false" if known in FALSE else word}


def _text(value: object, vocabulary: Vocabulary | None = None) -> dict[str, Scalar]:
    plain = _plain(value)
    return measure_text(None if plain is None else str(plain), vocabulary)


def _items(value: object) -> list[object] | None:
    """Read a series: a list, an array, or text with spaces or commas, as Ludwig takes it."""
    plain = value.tolist() if hasattr(value, "tolist") else _plain(value)
    if isinstance(plain, str):
        return list(plain.replace(",", " ").split())
    return list(plain) if isinstance(plain, list | tuple | set | frozenset) else None


def _series(value: object) -> dict[str, Scalar]:
    """A series' length, mean, spread, least, greatest, and by how much it ends above its start."""
    numbers = _finite(items) if (items := _items(value)) is not None else None
    rise = float(numbers[-1] - numbers[0]) if numbers is not None and len(numbers) else None
    return {**_vector(items), "change": rise}


def _vector(value: object) -> dict[str, Scalar]:
    items = _items(value)
    if items is None:
        return dict.fromkeys(("length", *SPREAD))
    return {"length": float(len(items)), **_spread(_finite(items))}


def _spread(numbers: np.ndarray) -> dict[str, Scalar]:
    import numpy as np

    if not len(numbers):
        return dict.fromkeys(SPREAD)
    with np.errstate(all="ignore"):  # of numbers near the largest float there is no mean
        found = (numbers.mean(), numbers.std(), numbers.min(), numbers.max())
    return {
        name: float(one) if math.isfinite(one) else None
        for name, one in zip(SPREAD, found, strict=True)
    }


def _finite(items: list[object]) -> np.ndarray:
    """The finite numbers among some values; almost always all of them are."""
    import numpy as np

    try:
        numbers = np.asarray(items, dtype="float64")
    except (ValueError, TypeError, OverflowError):
        numbers = np.array([one for one in map(_float, items) if one is not None], dtype="float64")
    flat = numbers.ravel()
    return flat[np.isfinite(flat)]


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
    "vector": _vector,
    "sequence": _collection,
    "set": _collection,
    "bag": _collection,
    "image": _image,
}
