"""What the verdicts promise is kept over hundreds of windows: few false alarms, few misses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from modelyard.monitoring import statistics
from modelyard.monitoring.drift import compare, findings
from modelyard.monitoring.findings import each_once
from modelyard.spec.models import MonitorSpec

ALPHA: Final = 0.05
# benchmarks/watching/false_alarms.py looks at a thousand windows of each kind and more sizes.
WINDOWS: Final = 60
MANY: Final = 300
REFERENCE: Final = 1_000
# So rarely may a right implementation fail, were the seed not fixed.
BY_CHANCE: Final = 0.001


def numeric(random: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(random.normal(size=(rows, 10))).add_prefix("x")


def tied(random: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(random.integers(0, 8, (rows, 10)).astype("float64")).add_prefix("x")


def categorical(random: np.random.Generator, rows: int) -> pd.DataFrame:
    shares = [0.45, 0.3, 0.15, 0.08, 0.015, 0.005]
    return pd.DataFrame(random.choice(list("abcdef"), (rows, 10), p=shares)).add_prefix("x")


def mixed(random: np.random.Generator, rows: int) -> pd.DataFrame:
    parts = [numeric(random, rows).iloc[:, :4], categorical(random, rows).iloc[:, :4]]
    gaps = numeric(random, rows).iloc[:, :2].mask(random.random((rows, 2)) < 0.03)
    table = pd.concat([*parts, gaps], axis=1)
    return table.set_axis([f"c{number}" for number in range(10)], axis=1)


def p_values(
    draw: Callable[[np.random.Generator, int], pd.DataFrame], rows: int, windows: int
) -> Iterator[list[float]]:
    """The p-values of many windows without drift, each with a reference of its own."""
    random = np.random.default_rng(rows)
    tests = MonitorSpec().tests
    for _ in range(windows):
        found = findings(draw(random, REFERENCE), draw(random, rows), tests, measured=False)
        yield [one.tested.p_value for one in each_once(found) if one.tested is not None]


@pytest.mark.parametrize(
    ("rows", "windows"),
    [(60, WINDOWS), pytest.param(1_000, MANY, marks=pytest.mark.nightly)],
    ids=["small", "large"],
)
@pytest.mark.parametrize("draw", [numeric, tied, categorical, mixed])
def test_windows_without_drift_raise_no_more_alarms_than_stated(
    draw: Callable[[np.random.Generator, int], pd.DataFrame],
    rows: int,
    windows: int,
    record_property: Callable[[str, object], None],
) -> None:
    found = list(p_values(draw, rows, windows))
    most = stats.binom.ppf(1 - BY_CHANCE, windows, ALPHA)
    for method in ("benjamini-hochberg", "bonferroni"):
        alarms = sum(min(statistics.correct(ps, method)) <= ALPHA for ps in found)  # type: ignore[arg-type]
        record_property(f"false alarms, {method}", alarms / windows)
        assert alarms <= most


def test_a_shift_of_a_third_of_a_deviation_in_one_of_ten_columns_is_found(
    record_property: Callable[[str, object], None],
) -> None:
    random = np.random.default_rng(3)
    monitor = MonitorSpec()
    found = 0
    for _ in range(WINDOWS):
        known, live = numeric(random, 5_000), numeric(random, 1_000)
        live["x0"] += 0.3
        verdicts = compare(known, live, monitor)
        found += [one.column for one in verdicts if one.drifted] == ["x0"]
    record_property("power", found / WINDOWS)
    assert found / WINDOWS >= 0.95


@pytest.mark.parametrize("test", ["z", "wasserstein", "psi"])
def test_the_other_tests_raise_no_more_alarms_than_stated(
    test: str, record_property: Callable[[str, object], None]
) -> None:
    random = np.random.default_rng(4)
    monitor = MonitorSpec.model_validate({"tests": {"number": test}, "min_effect": 0})
    alarms = 0
    for _ in range(40):
        known, live = numeric(random, 500).iloc[:, :3], numeric(random, 120).iloc[:, :3]
        alarms += any(one.drifted for one in compare(known, live, monitor))
    record_property("false alarms", alarms / 40)
    assert alarms <= stats.binom.ppf(1 - BY_CHANCE, 40, ALPHA)


def test_columns_that_go_together_raise_no_more_alarms(
    record_property: Callable[[str, object], None],
) -> None:
    random = np.random.default_rng(6)
    alarms = 0
    for _ in range(WINDOWS):
        known, live = (
            numeric(random, rows) * 0.5 + random.normal(size=(rows, 1)) for rows in (500, 200)
        )
        found = findings(known, live, MonitorSpec().tests, measured=False)
        ps = [one.tested.p_value for one in found if one.tested is not None]
        alarms += min(statistics.correct(ps, "benjamini-hochberg")) <= ALPHA
    record_property("false alarms", alarms / WINDOWS)
    assert alarms <= stats.binom.ppf(1 - BY_CHANCE, WINDOWS, ALPHA)
