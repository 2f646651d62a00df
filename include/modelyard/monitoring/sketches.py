"""Verdicts on windows too large to be read row by row: from the sketches of their profiles.

A sketch stands for its column as a few thousand quantiles, which go through the same tests as
rows do, with the sizes that the window really has. The reference is at hand row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from modelyard.monitoring import statistics
from modelyard.monitoring.columns import counted, is_number, numbers, words
from modelyard.monitoring.drift import (
    EMBEDDING,
    OUTPUTS,
    embedding_names,
    of_words,
    require_rows,
    too_few,
)
from modelyard.monitoring.findings import Finding, of_missing, verdicts
from modelyard.monitoring.observe import is_identity, word
from modelyard.monitoring.statistics import Numbers, Sizes, Tested, measures
from modelyard.monitoring.statistics.numbers import Moments, deviation_of, welch
from modelyard.spec.models import MonitorSpec
from modelyard.spec.monitor import TestsSpec
from modelyard.store.monitoring_records import Verdict

if TYPE_CHECKING:
    from modelyard.monitoring.profile import ColumnSketch

QUANTILES: Final = 4_096

type Sketches = Mapping[str, ColumnSketch]


def compare_sketches(
    reference: pd.DataFrame,
    sketches: Sketches,
    monitor: MonitorSpec,
    outputs: pd.DataFrame | None = None,
) -> list[Verdict]:
    """Judge each column of the reference, as `drift.compare` does, by the window's sketches.

    `outputs` is the reference of what the version answers; the sketches have both. An embedding
    is many numbers of a row at once, which no sketch keeps together: it is not tested.

    Raises:
        MonitoringError: either side has too few rows to say anything.
    """
    rows = rows_of(sketches)
    require_rows("the reference", len(reference))
    require_rows("the window", rows)
    frames = [reference]
    if outputs is not None:
        frames.append(outputs[[name for name in outputs.columns if str(name).startswith(OUTPUTS)]])
    found = [one for frame in frames for one in _findings(frame, sketches, monitor.tests, rows)]
    if outputs is not None and embedding_names(outputs):
        note = "profiles do not keep it; smaller windows test it"
        found.append(Finding(EMBEDDING, EMBEDDING, (len(outputs), rows), (0.0, 0.0), note=note))
    return verdicts(found, monitor)


def rows_of(sketches: Sketches) -> int:
    """How many rows a profile has; a column that came later has fewer."""
    return max((sketch.count for sketch in sketches.values()), default=0)


def _findings(
    frame: pd.DataFrame, sketches: Sketches, tests: TestsSpec, rows: int
) -> Iterator[Finding]:
    for name, known in frame.items():
        if not is_identity(str(name)):
            yield from _of_column(str(name), known, sketches.get(str(name)), tests, rows)


def _of_column(
    name: str, known: pd.Series, sketch: ColumnSketch | None, tests: TestsSpec, rows: int
) -> Iterator[Finding]:
    number = is_number(known)
    values = numbers(known) if number else words(known)
    seen = 0 if sketch is None else _with_value(sketch, number=number)
    gone = (len(known) - len(values), rows - seen)
    blank = Finding(
        name,
        "number" if number else "category",
        rows=(len(values), seen),
        missing=(gone[0] / len(known), gone[1] / rows),
    )
    if sketch is None or (short := too_few(blank.rows)) is not None:
        yield replace(blank, note=too_few((len(values), 0)) if sketch is None else short)
    elif number:
        yield _of_numbers(values, sketch, blank, tests)
    else:
        yield _of_words(values, sketch, blank, tests)
    if any(gone):
        yield of_missing(blank, (len(known), rows), gone)


def _with_value(sketch: ColumnSketch, *, number: bool) -> int:
    return sketch.values if number else sketch.count - sketch.missing  # noqa: PD011 - no pandas


def _of_numbers(
    reference: Numbers, sketch: ColumnSketch, blank: Finding, tests: TestsSpec
) -> Finding:
    reference, live = np.sort(reference), sampled(sketch)
    if (lowest := min(reference[0], live[0])) == max(reference[-1], live[-1]):
        return replace(blank, note=f"always {lowest:g}")
    sizes = Sizes(len(reference), sketch.values)
    found = measures.of_numbers(reference, live, sizes)
    tested = _tested(tests.number, reference, live, sizes, sketch)
    return replace(blank, tested=tested, measures=found)


def _tested(
    name: str, reference: Numbers, live: Numbers, sizes: Sizes, sketch: ColumnSketch
) -> Tested:
    exact = sketch.mean is not None and sketch.std is not None
    if name == "z" and exact and deviation_of(reference) > 0:
        # The mean and the deviation are known exactly, quantiles have lost the tails.
        moments = Moments(sketch.values, float(sketch.mean or 0), float(sketch.std or 0))
        return welch(Moments.of(reference), moments)
    return statistics.number_test(name, reference, live, sizes)


def sampled(sketch: ColumnSketch) -> Numbers:
    """Return numbers that are spread as the sketch says, in order; all of them if they are few."""
    if sketch.quantiles is None:
        return np.array([])
    size = min(sketch.values, QUANTILES)
    found: Numbers = np.sort(sketch.quantiles((np.arange(size) + 0.5) / size))
    # In a sample that stands for more rows, an end would have the weight of all beside it.
    whole = size == sketch.values  # noqa: PD011 - no pandas
    if whole and sketch.minimum is not None and sketch.maximum is not None:
        found[0], found[-1] = sketch.minimum, sketch.maximum
    return found


def _of_words(
    values: np.ndarray, sketch: ColumnSketch, blank: Finding, tests: TestsSpec
) -> Finding:
    counts = frequencies(sketch)
    if counts is None:
        return replace(blank, note="too many different values for a profile to count")
    return of_words(counted(values), counts, blank, tests)


def frequencies(sketch: ColumnSketch) -> Counter[str] | None:
    """Count words; numbers that stand for categories too, as far as they are few."""
    if sketch.frequencies is not None:
        found: Counter[str] = Counter()
        for name, count in sketch.frequencies.items():
            found[word(name)] += count
        return found
    if sketch.cdf is None:
        return None
    points = np.unique(sampled(sketch))
    shares = np.diff(sketch.cdf(points), prepend=0.0)
    counts = np.rint(shares * _with_value(sketch, number=True)).astype("int64")
    return Counter(
        {word(float(one)): int(n) for one, n in zip(points, counts, strict=True) if n > 0}
    )
