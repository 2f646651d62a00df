"""Decide which observed columns of a window differ from the reference: sure enough, and enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from modelyard.errors import MonitoringError
from modelyard.monitoring import statistics
from modelyard.monitoring.columns import Pair, grouped, pairs, pooled
from modelyard.monitoring.findings import Finding, drifted, of_missing, verdicts
from modelyard.monitoring.statistics import Rows, measures
from modelyard.spec.models import MonitorSpec
from modelyard.spec.monitor import TestsSpec
from modelyard.store.monitoring_records import Verdict

__all__ = ["MIN_ROWS", "Pair", "compare", "drifted", "grouped", "pairs", "pooled", "require_rows"]

# With fewer rows only differences of a third and more could ever be significant in ten columns.
MIN_ROWS: Final = 30
# A column that is mostly missing is judged by its missing values alone.
MIN_VALUES: Final = 10
SHOWN: Final = 3
EMBEDDING: Final = "embedding"
OUTPUTS: Final = ("predicted.", "probability.")


def compare(
    reference: pd.DataFrame,
    live: pd.DataFrame,
    monitor: MonitorSpec,
    outputs: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> list[Verdict]:
    """Judge each column of the reference; the drifted ones come first, the largest effect first.

    A column has drifted if its corrected p-value is at most `alpha` and its effect size at least
    `min_effect`. In a window without drift at most a share `alpha` of windows has any such column.

    `outputs` are what the version answered in the reference and in the window: their columns
    `predicted.X` and `probability.X` are judged like inputs, `embedding.0` onwards as one column
    `embedding`.

    Raises:
        MonitoringError: either side has too few rows to say anything.
    """
    require_rows("the reference", len(reference))
    require_rows("the window", len(live))
    return verdicts(findings(reference, live, monitor.tests, outputs), monitor)


def require_rows(what: str, rows: int, hint: str | None = None) -> None:
    """Refuse a sample that is too small, and say how many rows more it takes."""
    if rows < MIN_ROWS:
        message = f"{what} has {rows} rows, a comparison needs {MIN_ROWS}: {MIN_ROWS - rows} more"
        raise MonitoringError(message, hint=hint)


def findings(
    reference: pd.DataFrame,
    live: pd.DataFrame,
    tests: TestsSpec,
    outputs: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    *,
    measured: bool = True,
) -> Iterator[Finding]:
    """Test each column, and what is missing of it; `measured` adds all other measures."""
    for pair in pairs(reference, live):
        yield from of_pair(pair, tests, measured=measured)
    if outputs is None:
        return
    known, seen = outputs
    answers = [name for name in known.columns if str(name).startswith(OUTPUTS)]
    for pair in pairs(known[answers], seen):
        yield from of_pair(pair, tests, measured=measured)
    if (found := _embeddings(known, seen)) is not None:
        yield of_embedding(*found, tests)


def of_pair(pair: Pair, tests: TestsSpec, *, measured: bool = True) -> Iterator[Finding]:
    """Test one column, and how much of it is missing."""
    blank = Finding(
        pair.column,
        "number" if pair.number else "category",
        rows=(len(pair.reference), len(pair.live)),
        missing=(pair.missing[0] / pair.rows[0], pair.missing[1] / pair.rows[1]),
    )
    if (short := too_few(blank.rows)) is not None:
        yield replace(blank, note=short)
    elif pair.number:
        yield _of_numbers(pair, blank, tests, measured=measured)
    else:
        yield of_words(*pair.counts(), blank, tests, measured=measured)
    if any(pair.missing):
        yield of_missing(blank, pair.rows, pair.missing)


def too_few(rows: tuple[int, int]) -> str | None:
    """Say where there are too few values to test."""
    if min(rows) >= MIN_VALUES:
        return None
    where = "reference" if rows[0] < MIN_VALUES else "window"
    return f"fewer than {MIN_VALUES} values in the {where}"


def _of_numbers(pair: Pair, blank: Finding, tests: TestsSpec, *, measured: bool) -> Finding:
    # In order, so that the order of rows does not even matter for rounding.
    reference, live = np.sort(pair.reference), np.sort(pair.live)
    if (lowest := min(reference[0], live[0])) == max(reference[-1], live[-1]):
        return replace(blank, note=f"always {lowest:g}")
    return replace(
        blank,
        tested=statistics.number_test(tests.number, reference, live),
        measures=measures.of_numbers(reference, live) if measured else {},
    )


def of_words(
    known: Counter[str],
    seen: Counter[str],
    blank: Finding,
    tests: TestsSpec,
    *,
    measured: bool = True,
) -> Finding:
    """Test how often each category occurs."""
    first, second = pooled(known, seen)
    if len(first) < 2:  # noqa: PLR2004 - one group cannot differ
        always = f"always {_short(next(iter(known)))}" if len(known | seen) == 1 else None
        return replace(blank, note=always or "all values are too rare to count")
    return replace(
        blank,
        tested=statistics.category_test(tests.category, first, second),
        measures=measures.of_counts(first, second) if measured else {},
        note=_unseen(known, seen),
    )


def _unseen(reference: Counter[str], live: Counter[str]) -> str | None:
    new = sorted((-count, value) for value, count in live.items() if value not in reference)
    if not new:
        return None
    shown = ", ".join(f"{_short(value)} ({-count})" for count, value in new[:SHOWN])
    more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
    return f"not in the reference: {shown}{more}"


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def _embeddings(known: pd.DataFrame, seen: pd.DataFrame) -> tuple[Rows, Rows] | None:
    """Return the rows that have an embedding, with and without values, on both sides."""
    names = embedding_names(known)
    if not names or any(name not in seen for name in names):
        return None
    return known[names].to_numpy(dtype="float64"), seen[names].to_numpy(dtype="float64")


def embedding_names(frame: pd.DataFrame) -> list[str]:
    """Name the columns of an embedding."""
    return [str(name) for name in frame.columns if str(name).startswith(f"{EMBEDDING}.")]


def of_embedding(reference: Rows, live: Rows, tests: TestsSpec) -> Finding:
    """Test all dimensions of an embedding at once; rows without one are left out."""
    first, second = (side[np.isfinite(side).all(axis=1)] for side in (reference, live))
    blank = Finding(
        EMBEDDING,
        EMBEDDING,
        rows=(len(first), len(second)),
        missing=(1 - len(first) / len(reference), 1 - len(second) / len(live)),
    )
    if (short := too_few(blank.rows)) is not None:
        return replace(blank, note=short)
    if not np.concatenate([first, second]).std(axis=0).any():
        return replace(blank, note="always the same")
    return replace(blank, tested=statistics.embedding_test(tests.embedding, first, second))
