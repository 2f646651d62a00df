"""Rows that were added to a data set from logged predictions, and which split each belongs to.

Such a row bears the id of its prediction in the column `modelyard_prediction`; a row that was
there before bears `-`. Where an added row goes depends on nothing but its own id (or its group's
name), and the others are divided as if it were not there. So no row ever changes its split when
more are added, and the test rows of the first model are test rows of all later ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from modelyard.data.assign import SPLITS, Fractions
from modelyard.data.tables import canonical
from modelyard.spec.data import SplitSpec

if TYPE_CHECKING:
    import pandas as pd

MARKER = "modelyard_prediction"
BASE = "-"

type Assign = Callable[[pd.DataFrame], list[int]]


def has_added(table: pd.DataFrame) -> bool:
    """Whether rows were added to the table."""
    return MARKER in table.columns


def place(name: str, fractions: Fractions, seed: int) -> int:
    """Return the split of a name: its SHA-256 as a number below 1, held against the shares."""
    digest = hashlib.sha256(f"{seed}\x1e{name}".encode("utf-8", "surrogatepass")).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    total = sum(fractions)
    ends = [end / total for end in accumulate(fractions)]
    inside = (split for split in SPLITS if fractions[split] and point < ends[split])
    return next(inside, max(split for split in SPLITS if fractions[split]))


def divide(table: pd.DataFrame, how: SplitSpec, assign: Assign) -> list[int]:
    """Divide the former rows by `assign`, as if they were all, and each added one by itself.

    A group that has former rows keeps its added ones with them.
    """
    former = [mark == BASE for mark in canonical(table[MARKER])]
    rest = table[former].drop(columns=MARKER).reset_index(drop=True)
    placed = iter(assign(rest))
    splits = [next(placed) if old else None for old in former]
    names = _names(table, how)
    known = {
        name: split for name, split in zip(names, splits, strict=True) if split is not None
    }  # of ids it holds only that of the former rows, which no added one has
    return [
        known.get(name, place(name, how.fractions, how.seed)) if split is None else split
        for name, split in zip(names, splits, strict=True)
    ]


def _names(table: pd.DataFrame, how: SplitSpec) -> Sequence[str]:
    """What decides on an added row: its group where there are groups, else its own id."""
    column = how.group or how.blocks_of or MARKER
    return canonical(table[column if column in table.columns else MARKER])
