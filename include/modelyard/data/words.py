"""How refusals speak of names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modelyard.errors import DataError
from modelyard.spec.hints import nearest

SHOWN = 5


def suggestion(word: str, known: Sequence[str]) -> str:
    """Say which word was probably meant, or which there are."""
    meant = nearest(word, known)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"there are {listed(known)}" if known else "there are none"


def examples(rows: Sequence[int], spell: Callable[[int], str], shown: int = 3) -> str:
    """Spell the first few rows, and say how many more there are."""
    text = ", ".join(spell(row) for row in rows[:shown])
    more = len(rows) - shown
    return f"{text} and {more:,} more" if more > 0 else text


def listed(names: Sequence[object], shown: int = SHOWN) -> str:
    """Spell the first few names, and say how many more there are."""
    text = ", ".join(str(name) for name in names[:shown])
    more = len(names) - shown
    return f"{text} and {more} more" if more > 0 else text


def plural(count: int, noun: str) -> str:
    """Spell a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def no_column(field: str, column: str, known: Sequence[str]) -> DataError:
    """Make the refusal of a column that the table does not have."""
    message = f"{field}: the table has no column {column}"
    return DataError(message, hint=suggestion(column, known))
