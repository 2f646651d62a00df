"""Check rows against the model's own features, and bring values into the form that it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import cache
from typing import Final

from modelyard.features import ModelSignature
from serving.http.problems import MOST_LISTED, FieldProblem, invalid
from serving.requests.images import BadImageError, ManyPixelsError
from serving.requests.values import LARGEST_NUMBER, Check, Pixels, WrongValueError, check_for

type Row = dict[str, object]

LONGEST_NAME: Final = 100
# What is checked between two other requests; more is checked beside the event loop.
INLINE_PIXELS: Final = 128 * 128
INLINE_VALUES: Final = 5_000
_PLANS_KEPT: Final = 64
_plans: dict[tuple[int, bool], tuple[ModelSignature, _Plan]] = {}


def check_rows(
    signature: ModelSignature, rows: Sequence[Mapping[str, object]], *, textual: bool = False
) -> list[Row]:
    """Return the rows as the model takes them: one value for each input, None where it is missing.

    Args:
        signature: The model's inputs and outputs.
        rows: One mapping of column to value each.
        textual: Whether all values came as text, as in a form, so that "1.5" is a number.

    Raises:
        Refusal: 422, naming each row and field.
    """
    return _plan(signature, textual).check(rows, Pixels())


async def checked_rows(
    signature: ModelSignature, rows: Sequence[Mapping[str, object]], *, textual: bool = False
) -> list[Row]:
    """Check rows, large images and many values beside the event loop; as `check_rows` otherwise."""
    if len(rows) * len(signature.inputs) <= INLINE_VALUES:
        try:
            return _plan(signature, textual).check(rows, Pixels(INLINE_PIXELS))
        except ManyPixelsError:
            pass
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool(), lambda: check_rows(signature, rows, textual=textual))


@cache
def _pool() -> ThreadPoolExecutor:
    """Few threads, for each may hold a large image decoded."""
    return ThreadPoolExecutor(2, thread_name_prefix="checks")


def _plan(signature: ModelSignature, textual: bool) -> _Plan:
    # By identity, for to hash a signature costs more than to check a row.
    key = (id(signature), textual)
    kept = _plans.get(key)
    if kept is None or kept[0] is not signature:
        if len(_plans) >= _PLANS_KEPT:
            _plans.clear()
        kept = _plans[key] = (signature, _Plan(signature, textual))
    return kept[1]


class _Problems:
    """Lists what is wrong as far as an answer tells it, and counts the rest."""

    def __init__(self) -> None:
        self.listed: list[FieldProblem] = []
        self.total = 0

    @property
    def room(self) -> int:
        return MOST_LISTED - len(self.listed)

    def add(self, row: int, field: str, message: str) -> None:
        self.total += 1
        if self.room > 0:
            self.listed.append(FieldProblem(row=row, field=field, message=message))


class _Plan:
    """How rows of one signature are checked: what need not be found out again for each row."""

    def __init__(self, signature: ModelSignature, textual: bool) -> None:
        self._signature = signature
        self._known = frozenset(feature.column for feature in signature.inputs)
        self._columns: list[tuple[str, bool, bool, Check | None]] = [
            (
                feature.column,
                feature.type == "number",
                feature.required,
                None if feature.type == "image" else check_for(feature, textual=textual),
            )
            for feature in signature.inputs
        ]

    def check(self, rows: Sequence[Mapping[str, object]], pixels: Pixels) -> list[Row]:
        problems = _Problems()
        taken = [self._row(row, at, pixels, problems) for at, row in enumerate(rows, start=1)]
        if problems.listed:
            raise invalid(problems.listed, problems.total)
        return taken

    def _row(
        self,
        row: Mapping[str, object],
        at: int,
        pixels: Pixels,
        problems: _Problems,
    ) -> Row:
        if not row.keys() <= self._known:
            self._add_unknown(row, at, problems)
        taken: Row = {}
        for column, is_number, required, check in self._columns:
            value = row.get(column)
            if is_number and type(value) is float and -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
                taken[column] = value
                continue
            if value is None:
                taken[column] = None
                if required:
                    problems.add(at, column, "is missing")
                continue
            try:
                taken[column] = pixels.image(value) if check is None else check(value)
            except (WrongValueError, BadImageError) as error:
                problems.add(at, column, str(error))
        return taken

    def _add_unknown(self, row: Mapping[str, object], at: int, problems: _Problems) -> None:
        unknown = [name[:LONGEST_NAME] for name in row if name not in self._known]
        # Looking for a near word takes time, which hostile rows of many wrong names would use.
        listed = unknown[: problems.room]
        for name in listed:
            problems.add(at, name, self._hint(name))
        problems.total += len(unknown) - len(listed)

    def _hint(self, name: str) -> str:
        if name in {feature.column for feature in self._signature.outputs}:
            return "is what the model predicts; leave it out"
        columns = [feature.column for feature in self._signature.inputs]
        near = get_close_matches(name, columns, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(columns[:20])}"
        return f"is not an input of this model; {hint}"
