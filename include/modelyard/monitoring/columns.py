"""Columns of the reference beside their live values, brought to one kind, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from modelyard.monitoring.observe import is_identity, word
from modelyard.monitoring.statistics import Counts, Numbers
from modelyard.monitoring.statistics.counts import EXPECTED

# From here on enough rows of each value that is counted can be asked for to need no simulation.
LARGE: Final = 1_000
MOST_VALUES: Final = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """One column in the reference and in the window, values only."""

    column: str
    number: bool
    reference: np.ndarray
    live: np.ndarray
    rows: tuple[int, int]

    @property
    def missing(self) -> tuple[int, int]:
        """Rows without a value in the reference and in the window."""
        return self.rows[0] - len(self.reference), self.rows[1] - len(self.live)

    def counts(self) -> tuple[Counter[Any], Counter[Any]]:
        """How often each value occurs."""
        return counted(self.reference), counted(self.live)


def pairs(reference: pd.DataFrame, live: pd.DataFrame) -> Iterator[Pair]:
    """Bring each column of the reference and its live values to one kind."""
    nothing = pd.Series([None] * len(live), dtype="object")
    for column in reference.columns:
        if is_identity(str(column)):
            continue
        known, seen = reference[column], live.get(column, nothing)
        number = is_number(known)
        clean = numbers if number else words
        yield Pair(str(column), number, clean(known), clean(seen), (len(reference), len(live)))


def is_number(column: pd.Series) -> bool:
    """Whether a column of the reference is compared as numbers."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def numbers(values: pd.Series) -> Numbers:
    """Return the finite numbers of a column."""
    found = as_numbers(values)
    return found[np.isfinite(found)]


def as_numbers(values: pd.Series) -> Numbers:
    """Return a number for each row of a column; what is none is not finite."""
    found: Numbers = np.asarray(pd.to_numeric(values, errors="coerce"), dtype="float64")
    return found


def words(values: pd.Series) -> np.ndarray:
    """Return the values of a column as text."""
    known = values.dropna()
    if pd.api.types.infer_dtype(known, skipna=False) == "string":
        codes, names = pd.factorize(np.asarray(known, dtype="object"))
        return np.array([word(name) for name in names], dtype="object")[codes]
    return np.array([word(value) for value in known.tolist()], dtype="object")


def counted(values: np.ndarray) -> Counter[Any]:
    """Count how often each value occurs."""
    codes, names = pd.factorize(values)  # far faster than a Counter of objects
    return Counter(dict(zip(names.tolist(), np.bincount(codes).tolist(), strict=True)))


def pooled(reference: Counter[str], live: Counter[str]) -> tuple[Counts, Counts]:
    """Count values; those too rare to be expected in each sample are counted together.

    Which are rare follows from both samples together, so that it cannot favour either.
    """
    groups = grouped(reference, live)
    first, second = (np.zeros(max(groups.values()) + 1, dtype="int64") for _ in range(2))
    for name, group in groups.items():
        first[group] += reference[name]
        second[group] += live[name]
    return first, second


def grouped(reference: Counter[str], live: Counter[str]) -> dict[str, int]:
    """Give each value its group: one of its own, or the last one with others that are rare."""
    both = reference + live
    names = sorted(both, key=lambda name: (-both[name], name))
    totals = np.array([both[name] for name in names])
    smaller = min(reference.total(), live.total())
    least = 1.0 if smaller < LARGE else EXPECTED
    expected = totals * smaller / totals.sum()
    common = int(((expected >= least) & (np.arange(len(totals)) < MOST_VALUES)).sum())
    alone = common < 2 or expected[common:].sum() >= least  # noqa: PLR2004 - one group cannot differ
    rest = common if alone else common - 1
    return {name: min(place, rest) for place, name in enumerate(names)}
