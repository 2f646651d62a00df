"""Decide which observed columns of a window differ from the reference: sure enough, and enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from modelyard.errors import MonitoringError
from modelyard.monitoring import statistics
from modelyard.monitoring.observe import is_identity
from modelyard.monitoring.statistics import Counts, Numbers, Tested
from modelyard.spec.models import MonitorSpec
from modelyard.store.monitoring_records import Kind, Verdict

# With fewer rows only differences of a third and more could ever be significant in ten columns.
MIN_ROWS: Final = 30
# A column that is mostly missing is judged by its missing values alone.
MIN_VALUES: Final = 10
# From here on enough rows of each value that is counted can be asked for to need no simulation.
LARGE: Final = 1_000
MOST_VALUES: Final = 100
SHOWN: Final = 3

KS: Final = "two-sample Kolmogorov-Smirnov"
CHI: Final = "two-sample chi-square"
DISTANCE: Final = "KS distance"
VARIATION: Final = "total variation"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was measured of a column, before the correction over all of them."""

    column: str
    kind: Kind
    rows: tuple[int, int]
    missing: tuple[float, float]
    effect: float = 0.0
    tested: Tested | None = None
    measures: dict[str, float] = field(default_factory=dict)
    note: str | None = None


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
        return Counter(self.reference.tolist()), Counter(self.live.tolist())


def compare(reference: pd.DataFrame, live: pd.DataFrame, monitor: MonitorSpec) -> list[Verdict]:
    """Judge each column of the reference; the drifted ones come first, the largest effect first.

    A column has drifted if its corrected p-value is at most `alpha` and its effect size at least
    `min_effect`. In a window without drift at most a share `alpha` of windows has any such column.

    Raises:
        MonitoringError: either side has too few rows to say anything.
    """
    require_rows("the reference", len(reference))
    require_rows("the window", len(live))
    found = [finding for pair in pairs(reference, live) for finding in _findings(pair)]
    findings = list({_question(finding): finding for finding in reversed(found)}.values())[::-1]
    tested = [finding.tested.p_value for finding in findings if finding.tested]
    adjusted = iter(statistics.correct(tested, monitor.correction))
    verdicts = [
        _verdict(finding, next(adjusted) if finding.tested else None, monitor)
        for finding in findings
    ]
    return sorted(verdicts, key=lambda verdict: (not verdict.drifted, -verdict.effect))


def require_rows(what: str, rows: int, hint: str | None = None) -> None:
    """Refuse a sample that is too small, and say how many rows more it takes."""
    if rows < MIN_ROWS:
        message = f"{what} has {rows} rows, a comparison needs {MIN_ROWS}: {MIN_ROWS - rows} more"
        raise MonitoringError(message, hint=hint)


def pairs(reference: pd.DataFrame, live: pd.DataFrame) -> Iterator[Pair]:
    """Bring each column of the reference and its live values to one kind."""
    nothing = pd.Series([None] * len(live), dtype="object")
    for column in reference.columns:
        if is_identity(str(column)):
            continue
        known, seen = reference[column], live.get(column, nothing)
        number = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
        clean = _numbers if number else _words
        yield Pair(str(column), number, clean(known), clean(seen), (len(reference), len(live)))


def _question(finding: _Finding) -> tuple[object, ...]:
    """Tell findings apart; all measures of one feature ask the same of its missing values."""
    if finding.kind != "missing":
        return (finding.column, finding.kind)
    feature, dot, _ = finding.column.rpartition(".")
    return (feature if dot else finding.column, finding.kind, finding.missing)


def _numbers(values: pd.Series) -> Numbers:
    numbers: Numbers = np.asarray(pd.to_numeric(values, errors="coerce"), dtype="float64")
    return numbers[np.isfinite(numbers)]


def _words(values: pd.Series) -> np.ndarray:
    return np.array([str(value) for value in values.dropna().tolist()], dtype="object")


def _findings(pair: Pair) -> Iterator[_Finding]:
    kind: Kind = "number" if pair.number else "category"
    blank = _Finding(
        pair.column,
        kind,
        rows=(len(pair.reference), len(pair.live)),
        missing=(pair.missing[0] / pair.rows[0], pair.missing[1] / pair.rows[1]),
    )
    if min(blank.rows) < MIN_VALUES:
        where = "reference" if blank.rows[0] < MIN_VALUES else "window"
        yield replace(blank, note=f"fewer than {MIN_VALUES} values in the {where}")
    else:
        yield _compare_numbers(pair, blank) if pair.number else _compare_words(pair, blank)
    if any(pair.missing):
        yield _compare_missing(pair, blank)


def _compare_numbers(pair: Pair, blank: _Finding) -> _Finding:
    reference, live = pair.reference, pair.live
    if (lowest := min(reference.min(), live.min())) == max(reference.max(), live.max()):
        return replace(blank, note=f"always {lowest:g}")
    tested = statistics.ks(reference, live)
    first, second = statistics.binned(reference, live)
    return replace(
        blank,
        tested=tested,
        effect=tested.statistic,
        measures={
            "psi": statistics.psi(first, second),
            "jensen_shannon": statistics.jensen_shannon(first, second),
        },
    )


def _compare_words(pair: Pair, blank: _Finding) -> _Finding:
    known, seen = pair.counts()
    first, second = pooled(known, seen)
    note = _unseen(known, seen)
    if len(first) < 2:  # noqa: PLR2004 - one group cannot differ
        always = f"always {_short(next(iter(known)))}" if len(known | seen) == 1 else None
        return replace(blank, note=always or "all values are too rare to count")
    return replace(
        blank,
        tested=statistics.chi_square(first, second),
        effect=statistics.total_variation(first, second),
        measures={
            "psi": statistics.psi(first, second),
            "jensen_shannon": statistics.jensen_shannon(first, second),
        },
        note=note,
    )


def _compare_missing(pair: Pair, blank: _Finding) -> _Finding:
    """Compare how often there is no value; only the rate can tell of a field that broke."""
    counts = [
        np.array([rows - gone, gone]) for rows, gone in zip(pair.rows, pair.missing, strict=True)
    ]
    blank = replace(blank, kind="missing", rows=pair.rows)
    if (counts[0] + counts[1]).min() == 0:
        return replace(blank, note="there is never a value")
    return replace(
        blank,
        tested=statistics.chi_square(*counts),
        effect=statistics.total_variation(*counts),
    )


def pooled(reference: Counter[str], live: Counter[str]) -> tuple[Counts, Counts]:
    """Count values; those too rare to be expected in each sample are counted together.

    Which are rare follows from both samples together, so that it cannot favour either.
    """
    both = reference + live
    names = sorted(both, key=lambda name: (-both[name], name))
    table = np.array([(reference[name], live[name]) for name in names])
    totals, smaller = table.sum(axis=1), min(table.sum(axis=0))
    least = 1.0 if smaller < LARGE else statistics.EXPECTED
    expected = totals * smaller / totals.sum()
    common = (expected >= least) & (np.arange(len(totals)) < MOST_VALUES)
    kept, rest = table[common], table[~common].sum(axis=0)
    if rest.any() and (len(kept) < 2 or expected[~common].sum() >= least):  # noqa: PLR2004 - one group cannot differ
        kept = np.vstack([kept, rest])
    elif rest.any():
        kept[-1] += rest
    return kept[:, 0], kept[:, 1]


def _unseen(reference: Counter[str], live: Counter[str]) -> str | None:
    new = sorted((-count, value) for value, count in live.items() if value not in reference)
    if not new:
        return None
    shown = ", ".join(f"{_short(value)} ({-count})" for count, value in new[:SHOWN])
    more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
    return f"not in the reference: {shown}{more}"


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def _verdict(finding: _Finding, adjusted: float | None, monitor: MonitorSpec) -> Verdict:
    tested = finding.tested
    return Verdict(
        column=finding.column,
        kind=finding.kind,
        test=NONE if tested is None else KS if finding.kind == "number" else CHI,
        statistic=tested.statistic if tested else None,
        p_value=tested.p_value if tested else None,
        p_adjusted=adjusted,
        effect=finding.effect,
        effect_name=DISTANCE if finding.kind == "number" else VARIATION,
        drifted=adjusted is not None
        and adjusted <= monitor.alpha
        and finding.effect >= monitor.min_effect,
        measures=finding.measures,
        reference_rows=finding.rows[0],
        live_rows=finding.rows[1],
        reference_missing=finding.missing[0],
        live_missing=finding.missing[1],
        note=finding.note,
    )


def drifted(verdicts: Sequence[Verdict]) -> list[str]:
    """Name the columns that drifted, each once."""
    return list(dict.fromkeys(verdict.column for verdict in verdicts if verdict.drifted))
