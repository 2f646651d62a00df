"""From what was measured of each column to verdicts: one correction over all of a window's tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from modelyard.monitoring import statistics
from modelyard.monitoring.statistics import Tested
from modelyard.spec.models import MonitorSpec
from modelyard.store.monitoring_records import Kind, Verdict

NONE: Final = "none"
# What an effect is called where nothing could be tested.
UNTESTED: Final = {
    "number": "KS distance",
    "category": "total variation",
    "missing": "total variation",
    "embedding": "maximum mean discrepancy",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured of a column, before the correction over all of them."""

    column: str
    kind: Kind
    rows: tuple[int, int]
    missing: tuple[float, float]
    tested: Tested | None = None
    measures: dict[str, float] = field(default_factory=dict)
    note: str | None = None


def verdicts(findings: Iterable[Finding], monitor: MonitorSpec) -> list[Verdict]:
    """Judge findings: significant after correction, and large enough; the drifted come first.

    All tests of the window are one family, those on missing values, on the outputs and on the
    embedding too. What could not be tested is not counted.
    """
    asked = each_once(findings)
    p_values = [finding.tested.p_value for finding in asked if finding.tested]
    adjusted = iter(statistics.correct(p_values, monitor.correction))
    judged = [
        _verdict(finding, next(adjusted) if finding.tested else None, monitor) for finding in asked
    ]
    return sorted(judged, key=lambda verdict: (not verdict.drifted, -verdict.effect))


def each_once(findings: Iterable[Finding]) -> list[Finding]:
    """Leave out what asks the same again: all measures of one feature are missing together."""
    found: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        found.setdefault(_question(finding), finding)
    return list(found.values())


def _question(finding: Finding) -> tuple[object, ...]:
    if finding.kind != "missing":
        return (finding.column, finding.kind)
    feature, dot, _ = finding.column.rpartition(".")
    return (feature if dot else finding.column, finding.kind, finding.missing)


def of_missing(blank: Finding, rows: tuple[int, int], gone: tuple[int, int]) -> Finding:
    """Compare how often there is no value; only the rate can tell of a field that broke."""
    counts = [np.array([total - less, less]) for total, less in zip(rows, gone, strict=True)]
    blank = replace(blank, kind="missing", rows=rows)
    if (counts[0] + counts[1]).min() == 0:
        return replace(blank, note="there is never a value")
    return replace(blank, tested=statistics.chi_square(*counts))


def _verdict(finding: Finding, adjusted: float | None, monitor: MonitorSpec) -> Verdict:
    tested = finding.tested
    effect = tested.effect if tested else 0.0
    return Verdict(
        column=finding.column,
        kind=finding.kind,
        test=tested.test if tested else NONE,
        statistic=tested.statistic if tested else None,
        p_value=tested.p_value if tested else None,
        p_adjusted=adjusted,
        effect=effect,
        effect_name=tested.effect_name if tested else UNTESTED[finding.kind],
        drifted=adjusted is not None and adjusted <= monitor.alpha and effect >= monitor.min_effect,
        measures=finding.measures,
        reference_rows=finding.rows[0],
        live_rows=finding.rows[1],
        reference_missing=finding.missing[0],
        live_missing=finding.missing[1],
        note=finding.note,
    )


def drifted(found: Sequence[Verdict]) -> list[str]:
    """Name the columns that drifted, each once."""
    return list(dict.fromkeys(verdict.column for verdict in found if verdict.drifted))
