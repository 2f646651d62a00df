"""Segments: the rows of one value of a column, which are watched by themselves too.

Which values have a segment of their own follows from the reference, so that every process divides
alike and the number is bounded; all other values, and none, are watched together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.errors import MonitoringError
from modelyard.monitoring.observe import as_word, word

if TYPE_CHECKING:
    import pandas as pd

MOST_VALUES: Final = 20
OTHERS: Final = "(others)"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How rows are divided: by the values of one observed column."""

    column: str
    values: frozenset[str]
    """The values with a segment of their own."""
    others: bool = False
    """Whether the reference has rows beside them, which others can be compared with."""

    def of(self, inputs: Mapping[str, object]) -> str:
        """Name the segment of one row's observed inputs, COLUMN=VALUE."""
        found = as_word(inputs.get(self.column))
        spelt = None if found is None else word(found)
        return f"{self.column}={spelt if spelt in self.values else OTHERS}"

    @property
    def names(self) -> tuple[str, ...]:
        """Each segment that the reference has rows of, the others last."""
        rest = (OTHERS,) if self.others else ()
        return tuple(f"{self.column}={value}" for value in (*sorted(self.values), *rest))

    def rows(self, frame: pd.DataFrame, segment: str) -> pd.DataFrame:
        """Return the rows of an observed table that belong to a segment."""
        values = frame[self.column] if self.column in frame else [None] * len(frame)
        belongs = [self.of({self.column: value}) == segment for value in values]
        return frame[belongs]


def segmentation(reference: pd.DataFrame, column: str | None) -> Segmentation | None:
    """Divide by a column of the reference; None if there is no such column.

    Its 20 most frequent values get a segment each.
    """
    if column is None or column not in reference:
        return None
    words = [word(found) for one in reference[column] if (found := as_word(one)) is not None]
    ranked = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    kept = frozenset([name for name, _ in ranked if name != OTHERS][:MOST_VALUES])
    others = len(words) < len(reference) or any(name not in kept for name in words)
    return Segmentation(column, kept, others)


def read_segmentation(folder: Path, column: str | None) -> Segmentation | None:
    """Divide by a column of the reference that is kept in a folder; None if it has none."""
    from modelyard.monitoring.reference import read_sample

    if column is None:
        return None
    try:
        return segmentation(read_sample(folder), column)
    except MonitoringError:
        return None
