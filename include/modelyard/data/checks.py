"""The rules of `data.checks`, each asked of every row of the raw table."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import CheckFailure
from modelyard.data.images import ImageCell, image_problems
from modelyard.data.tables import canonical, row_keys, spell
from modelyard.data.words import examples, listed, plural, suggestion
from modelyard.spec.data import CheckSpec

if TYPE_CHECKING:
    import pandas as pd

type Rule = tuple[str, Callable[[Any], bool]]

SHOWN = 20
BOOLEANS = frozenset({"true", "false", "yes", "no", "0", "1"})


@dataclass(frozen=True, slots=True)
class Result:
    """One rule, and what broke it, if anything did."""

    check: str
    column: str | None
    failure: CheckFailure | None = None


def check_table(table: pd.DataFrame, checks: Sequence[CheckSpec], folder: Path) -> list[Result]:
    """Ask all rules; none stops another from being asked."""
    results: list[Result] = []
    known = [str(name) for name in table.columns]
    for check in checks:
        if check.column is None:
            results += _whole_table(table, check)
        elif check.column in known:
            results += _column(table[check.column], check, folder)
        else:
            results.append(no_such_column(check.column, known))
    return results


def no_such_column(column: str, known: Sequence[str]) -> Result:
    """Make the failure of a check on a column that does not exist."""
    message = f"the table has no column {column}; {suggestion(column, known)}"
    return failed("the column exists", column, message, [])


def failed(check: str, column: str | None, message: str, rows: Sequence[int]) -> Result:
    """Make a failed result; `rows` are positions from 0, and are told from 1."""
    told = tuple(row + 1 for row in rows[:SHOWN])
    failure = CheckFailure(check=check, column=column, message=message, rows=told, count=len(rows))
    return Result(check, column, failure)


def check_images(values: pd.Series[Any], folder: Path) -> Result:
    """Open every image that a column names or holds."""
    check = "every image can be read"
    cells = [None if absent else _image(value) for value, absent in _pairs(values)]
    problems = image_problems(cells, folder)
    rows = [row for row, problem in enumerate(problems) if problem]
    if not rows:
        return Result(check, str(values.name))

    def told(row: int) -> str:
        cell = cells[row]
        if isinstance(cell, bytes):
            return f"row {row + 1} {problems[row]}"
        return f"{cell} {problems[row]} (row {row + 1})"

    spelt = examples(rows, told)
    message = f"{values.name}: {plural(len(rows), 'image')} cannot be used: {spelt}"
    return failed(check, str(values.name), message, rows)


def _image(value: object) -> ImageCell:
    return value if isinstance(value, bytes) else str(value)


def _column(values: pd.Series[Any], check: CheckSpec, folder: Path) -> Iterator[Result]:
    """Ask the rules that a check on a column gives."""
    if check.type == "image":
        yield check_images(values, folder)
    if check.not_null:
        missing = [row for row, absent in enumerate(values.isna().tolist()) if absent]
        yield _told(values, "is not missing", missing)
    if check.unique:
        yield _unique(values)
    try:
        rules = _rules(check)
    except re.error as error:
        message = f"{values.name}: {check.matches} is not a regular expression: {error}"
        yield failed(f"matches {check.matches}", str(values.name), message, [])
        rules = _rules(check.model_copy(update={"matches": None}))
    for words, good in rules:
        yield _each(values, words, good)
    if check.min_class_share is not None:
        yield _shares(values, check.min_class_share)


def unfit_rows(table: pd.DataFrame, checks: Sequence[CheckSpec]) -> set[int]:
    """Return the positions of the rows that break a rule on single values.

    A regular expression that is none fits no row, as it lets no table through.
    """
    bad: set[int] = set()
    for check in checks:
        if check.column is None or check.column not in table.columns:
            continue
        try:
            rules = _rules(check)
        except re.error:
            return set(range(len(table)))
        bad |= {
            row
            for row, (value, absent) in enumerate(_pairs(table[check.column]))
            if (check.not_null if absent else not all(good(value) for _, good in rules))
        }
    return bad


def _rules(check: CheckSpec) -> list[Rule]:
    """What a check asks of each value by itself, in words and as a function.

    Raises:
        re.error: `matches` is not a regular expression.
    """
    rules: list[Rule] = []
    if check.type in TYPES:
        rules.append((f"is a {check.type}", TYPES[check.type]))
    if check.one_of is not None:
        allowed = {spell(value) for value in check.one_of}
        words = f"is one of {listed([spell(value) for value in check.one_of], 12)}"
        rules.append((words, lambda value: spell(value) in allowed))
    if check.minimum is not None:
        least = f"is at least {check.minimum:g}"
        rules.append((least, _compared(check.minimum, lower=True)))
    if check.maximum is not None:
        most = f"is at most {check.maximum:g}"
        rules.append((most, _compared(check.maximum, lower=False)))
    if check.matches is not None:
        pattern = re.compile(check.matches)
        fits = f"matches {check.matches}"
        rules.append((fits, lambda value: pattern.fullmatch(spell(value)) is not None))
    return rules


def _whole_table(table: pd.DataFrame, check: CheckSpec) -> Iterator[Result]:
    if check.min_rows is not None:
        words = f"at least {plural(check.min_rows, 'row')}"
        message = f"the table has {plural(len(table), 'row')}, fewer than {check.min_rows:,}"
        yield (
            Result(words, None)
            if len(table) >= check.min_rows
            else failed(words, None, message, [])
        )
    if check.max_duplicate_rows is not None:
        yield _duplicates(table, check.max_duplicate_rows)


def _each(values: pd.Series[Any], words: str, good: Callable[[object], bool]) -> Result:
    """Ask each value that is not missing."""
    rows = [
        row for row, (value, absent) in enumerate(_pairs(values)) if not absent and not good(value)
    ]
    return _told(values, words, rows)


def _told(values: pd.Series[Any], words: str, rows: Sequence[int]) -> Result:
    """Tell which values break a rule on single values."""
    if not rows:
        return Result(words, str(values.name))

    def told(row: int) -> str:
        return f"{_shown(values.iloc[row])} in row {row + 1}"

    verb = "breaks" if len(rows) == 1 else "break"
    message = (
        f"{values.name}: {plural(len(rows), 'value')} {verb} `{words}`: {examples(rows, told)}"
    )
    return failed(words, str(values.name), message, rows)


def _shown(value: object) -> str:
    """Spell a value as people write it, so that text can be told from a number."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    spelt = spell(value)
    return "nothing" if spelt in {"nan", "None", "NaT", "<NA>"} else spelt


def _unique(values: pd.Series[Any]) -> Result:
    repeated = (values.duplicated() & values.notna()).tolist()
    return _told(values, "occurs once", [row for row, again in enumerate(repeated) if again])


def _shares(values: pd.Series[Any], share: float) -> Result:
    """Compare each value's share of the rows that have one."""
    words = f"each value has at least {share:.1%} of the rows"
    spelt = [text for text in canonical(values) if text != "\x00"]
    counts = Counter(spelt)
    rare = {name: count for name, count in counts.items() if count < share * len(spelt)}
    if not rare:
        return Result(words, str(values.name))
    told = [
        f"{name} {count / len(spelt):.1%} ({plural(count, 'row')})" for name, count in rare.items()
    ]
    rows = [row for row, text in enumerate(canonical(values)) if text in rare]
    message = (
        f"{values.name}: {plural(len(rare), 'value')} below {share:.1%} of the rows: {listed(told)}"
    )
    return failed(words, str(values.name), message, rows)


def _duplicates(table: pd.DataFrame, limit: int) -> Result:
    words = f"at most {plural(limit, 'row')} repeating an earlier one"
    seen: dict[str, int] = {}
    again: list[tuple[int, int]] = []
    for row, key in enumerate(row_keys(canonical(table[name]) for name in table.columns)):
        first = seen.setdefault(key, row)
        if first != row:
            again.append((row, first))
    if len(again) <= limit:
        return Result(words, None)
    firsts = dict(again)
    told = examples(list(firsts), lambda row: f"row {row + 1} repeats row {firsts[row] + 1}")
    message = f"{plural(len(again), 'row')} too alike, {limit:,} allowed: {told}"
    return failed(words, None, message, [row for row, _ in again])


def _pairs(values: pd.Series[Any]) -> Iterator[tuple[object, bool]]:
    return zip(values.tolist(), values.isna().tolist(), strict=True)


def _number(value: object) -> float | None:
    """Read a finite number; text that spells one counts, as one bad cell makes a CSV column text."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _compared(limit: float, *, lower: bool) -> Callable[[object], bool]:
    def holds(value: object) -> bool:
        number = _number(value)
        return number is not None and (number >= limit if lower else number <= limit)

    return holds


def _is_integer(value: object) -> bool:
    number = _number(value)
    return number is not None and number.is_integer()


TYPES: dict[str, Callable[[object], bool]] = {
    "number": lambda value: _number(value) is not None,
    "integer": _is_integer,
    "text": lambda value: isinstance(value, str),
    "boolean": lambda value: spell(value).lower() in BOOLEANS,
}
