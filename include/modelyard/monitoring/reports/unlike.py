"""How unlike the reference a value of a row is: its tail, the share of the reference as far out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue

from modelyard.monitoring.reports.words import figure, percent, short

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from modelyard.store.predictions import Seen

    type Numbers = np.ndarray[Any, np.dtype[np.float64]]

SHOWN: Final = 3
LONGEST: Final = 40
EMBEDDING: Final = "embedding"

type Value = str | float | None


@dataclass(frozen=True, slots=True)
class Known:
    """One column of the reference: where a row has it, how far out a value lies, what is usual."""

    value: Callable[[Seen], Value]
    """Reads the column of a logged row."""
    tail: Callable[[Value], float]
    """Above 0 up to 1. Of numbers the share that lies as far out to the same side, twice; of words
    the share that is as rare; less than one row's share beyond the ends of the reference."""
    usual: str
    """What is usual in the reference, in words."""


def known_columns(columns: Iterable[str], frames: Sequence[pd.DataFrame]) -> dict[str, Known]:
    """Describe those of the columns that a frame of the reference has; embeddings as one."""
    found: dict[str, Known] = {}
    for column in columns:
        for frame in frames:
            if column == EMBEDDING and f"{EMBEDDING}.0" in frame:
                found[column] = _placed(frame)
            elif column in frame:
                found[column] = _known(column, frame[column])
    return found


def value_of(row: Seen, column: str) -> Value:
    """Return a logged row's value of an observed column, None where it has none."""
    part, _, name = column.partition(".")
    found: JsonValue = None
    if part == "predicted" and name in row.outputs:
        found = row.outputs[name]
    elif part == "probability" and name in row.probability:
        found = row.probability[name]
    else:
        found = row.inputs.get(column)
    if isinstance(found, bool):
        return str(found).lower()
    return found if isinstance(found, str | int | float) else None


def _known(column: str, reference: pd.Series) -> Known:
    from modelyard.monitoring.columns import is_number, numbers, words

    floor = 1 / (len(reference) + 1)
    if is_number(reference):
        inside, usual = _of_numbers(numbers(reference))
    else:
        inside, usual = _of_words(words(reference))
    missing = float(reference.isna().mean()) if len(reference) else 0.0

    def tail(value: Value) -> float:
        share = missing if value is None else inside(value)
        return floor / (1 - share) if share < 0 else min(max(share, floor), 1.0)

    return Known(lambda row: value_of(row, column), tail, usual)


def _of_numbers(values: Numbers) -> tuple[Callable[[Value], float], str]:
    """Return the share as far out; below 0 beyond the ends, by the distance in spreads."""
    import numpy as np

    if not len(values):
        return (lambda _: 0.0), "always missing"
    ranked = np.sort(values)
    spread = float(ranked.std()) or 1.0

    def share(value: Value) -> float:
        if not isinstance(value, int | float):
            return 0.0
        beyond = max(ranked[0] - value, value - ranked[-1])
        if beyond > 0:
            return -float(beyond) / spread
        left, right = (np.searchsorted(ranked, value, side) for side in ("left", "right"))
        return float(2 * min(right, len(ranked) - left) / len(ranked))

    low, high = np.quantile(ranked, [0.05, 0.95])
    return share, f"{figure(low)} to {figure(high)} in 9 of 10"


def _of_words(values: Iterable[str]) -> tuple[Callable[[Value], float], str]:
    from collections import Counter

    from modelyard.monitoring.observe import word

    counts = Counter(values)
    total = counts.total()
    rare, below = {}, 0
    for count in sorted(set(counts.values())):
        below += sum(other for other in counts.values() if other == count)
        rare[count] = below / total

    def share(value: Value) -> float:
        return rare.get(counts.get(word(value) or "", 0), 0.0)

    common = counts.most_common(SHOWN)
    said = [f"{short(name, LONGEST)} {percent(count / total)}" for name, count in common]
    return share, ", ".join(said) or "always missing"


def _placed(reference: pd.DataFrame) -> Known:
    """Measure how far from the reference's middle the model places a row, in its own spreads."""
    import numpy as np

    names = [name for name in reference.columns if str(name).startswith(f"{EMBEDDING}.")]
    places = reference[names].to_numpy(dtype="float64")
    places = places[np.isfinite(places).all(axis=1)]
    middle, spread = places.mean(axis=0), places.std(axis=0)
    spread[spread == 0] = 1.0

    def distance(place: Numbers) -> Numbers:
        return np.sqrt((((place - middle) / spread) ** 2).mean(axis=-1))

    ranked = np.sort(distance(places))

    def value(row: Seen) -> Value:
        if row.embedding is None or len(row.embedding) != len(names):
            return None
        return float(distance(np.asarray(row.embedding, dtype="float64")))

    def tail(given: Value) -> float:
        floor = 1 / (len(ranked) + 1)
        if not isinstance(given, int | float):
            return 1.0
        if given > ranked[-1]:
            return floor * float(ranked[-1] / given)
        return max(float(1 - np.searchsorted(ranked, given, "left") / len(ranked)), floor)

    return Known(value, tail, f"up to {figure(float(np.quantile(ranked, 0.95)))} from the middle")
