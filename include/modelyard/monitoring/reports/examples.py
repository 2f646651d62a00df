"""Rows of a window that are most unlike the reference in the columns that drifted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from modelyard.monitoring.reports.context import Cell, Example
from modelyard.monitoring.reports.thumbnails import thumbnail
from modelyard.monitoring.reports.unlike import Known, Value, known_columns
from modelyard.monitoring.reports.words import drifted_columns, figure, short
from modelyard.store.database import Store
from modelyard.store.monitoring_records import DriftCheck
from modelyard.store.predictions import Seen

if TYPE_CHECKING:
    import pandas as pd

MOST: Final = 5
MOST_CELLS: Final = 8
LONGEST: Final = 80
LONGEST_TEXT: Final = 280
MOST_IMAGES: Final = 2


def examples(  # noqa: PLR0913 - the check, its rows, what they are held against, and the files
    store: Store,
    check: DriftCheck,
    seen: Sequence[Seen],
    *,
    reference: pd.DataFrame,
    outputs: pd.DataFrame | None = None,
    home: Path | None = None,
) -> tuple[Example, ...]:
    """Return a few different rows, the most unlike first; none where no column drifted.

    A row is the more unlike the smaller the product of its values' tails (`unlike.py`), as in
    Fisher's combination of p-values.
    """
    frames = [frame for frame in (reference, outputs) if frame is not None]
    known = known_columns(drifted_columns(check.verdicts), frames)
    if not known or not seen:
        return ()
    found = []
    for row in _most_unlike(known, seen):
        raw = _raw(store, row.id)
        found.append(
            Example(
                prediction=row.id,
                at=row.at.isoformat(),
                cells=_cells(known, row),
                outputs={name: _plain(value) for name, value in row.outputs.items()},
                texts=_texts(raw, row),
                images=_images(raw, home),
            )
        )
    return tuple(found)


def _most_unlike(known: Mapping[str, Known], seen: Sequence[Seen]) -> list[Seen]:
    scored: dict[tuple[Value, ...], tuple[float, Seen]] = {}
    for row in seen:
        values = tuple(one.value(row) for one in known.values())
        # Of equal rows one is enough; the newest comes first.
        if values not in scored:
            tails = (one.tail(value) for one, value in zip(known.values(), values, strict=True))
            scored[values] = (-sum(map(math.log, tails)), row)
    ranked = sorted(scored.values(), key=lambda one: -one[0])
    return [row for _, row in ranked[:MOST]]


def _cells(known: Mapping[str, Known], row: Seen) -> tuple[Cell, ...]:
    cells = []
    for column, one in list(known.items())[:MOST_CELLS]:
        value = one.value(row)
        cells.append(
            Cell(
                column=column,
                value=short(value, LONGEST) if isinstance(value, str) else value,
                usual=one.usual,
                unlike=1 - one.tail(value),
            )
        )
    return tuple(cells)


def _raw(store: Store, prediction: str) -> dict[str, JsonValue]:
    record = store.prediction(prediction)
    return {} if record is None or record.raw is None else record.raw


def _texts(raw: dict[str, JsonValue], row: Seen) -> dict[str, str]:
    """The inputs that only their measures stand for elsewhere: texts and series."""
    return {
        name: short(_plain(value), LONGEST_TEXT)
        for name, value in raw.items()
        if name not in row.inputs and value is not None and not _is_file(value)
    }


def _images(raw: dict[str, JsonValue], home: Path | None) -> dict[str, str]:
    if home is None:
        return {}
    files = {name: str(value) for name, value in raw.items() if _is_file(value)}
    made = {name: thumbnail(home, path) for name, path in list(files.items())[:MOST_IMAGES]}
    return {name: url for name, url in made.items() if url is not None}


def _is_file(value: JsonValue) -> bool:
    return isinstance(value, str) and value.startswith("inputs/")


def _plain(value: JsonValue) -> str:
    import json

    if isinstance(value, float):
        return figure(value)
    return short(value if isinstance(value, str) else json.dumps(value), LONGEST_TEXT)
