"""The populations that the benchmarks of the drift tests draw windows from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pandas as pd

type Random = np.random.Generator
type Draw = Callable[[Random, int, int], pd.DataFrame]

REFERENCE: Final = 5_000
"""As many rows as Modelyard keeps of a reference."""
WORDS: Final = np.array(list("abcdefgh"), dtype=object)
# Two categories are rare: five and one of a thousand rows.
SHARES: Final = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.034, 0.005, 0.001])
LEVELS: Final = 8
GAPS: Final = 0.03
HEAVY: Final = 3
COMMON: Final = 0.7


def numeric(random: Random, rows: int, columns: int) -> pd.DataFrame:
    """Independent normal numbers."""
    return _table({f"x{place}": random.normal(size=rows) for place in range(columns)})


def correlated(random: Random, rows: int, columns: int) -> pd.DataFrame:
    """Normal numbers with a correlation of 0.7 between any two columns."""
    shared = random.normal(size=rows) * np.sqrt(COMMON)
    own = np.sqrt(1 - COMMON)
    return _table(
        {f"x{place}": shared + own * random.normal(size=rows) for place in range(columns)}
    )


def tied(random: Random, rows: int, columns: int) -> pd.DataFrame:
    """Numbers of eight levels, from often to rarely."""
    return _table(
        {f"t{place}": random.binomial(LEVELS - 1, 0.3, rows) * 1.0 for place in range(columns)}
    )


def categorical(random: Random, rows: int, columns: int) -> pd.DataFrame:
    """Eight categories, some of them rare."""
    return _table(
        {
            f"c{place}": WORDS[np.searchsorted(np.cumsum(SHARES), random.random(rows))]
            for place in range(columns)
        }
    )


def mixed(random: Random, rows: int, columns: int) -> pd.DataFrame:
    """Of ten columns four numbers (one heavy-tailed), two tied, two of categories, two with gaps.

    Those with gaps are tested twice: their values, and how many are missing.
    """
    found: dict[str, np.ndarray] = {}
    for place in range(columns):
        kind = "nnnnttccgw"[place % 10]
        drawn = tied if kind == "t" else categorical if kind in "cw" else numeric
        values = drawn(random, rows, 1).iloc[:, 0].to_numpy(copy=True)
        if place % 10 == HEAVY:
            values = np.exp(2 * values)
        if kind in "gw":
            values[random.random(rows) < GAPS] = None if kind == "w" else np.nan
        found[f"m{place}"] = values
    return _table(found)


def _table(columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    # Kept as they are: pandas would make its own text of objects, which no logged window has.
    series = {name: pd.Series(one, dtype=one.dtype) for name, one in columns.items()}
    return pd.DataFrame(series, copy=False)


POPULATIONS: Final[Mapping[str, Draw]] = {
    "numeric": numeric,
    "with ties": tied,
    "categorical": categorical,
    "mixed": mixed,
    "correlated": correlated,
}
