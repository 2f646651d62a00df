"""The tests agree with SciPy where it has them, and with chance where it has not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from modelyard.monitoring import statistics
from modelyard.monitoring.statistics import Sizes
from modelyard.monitoring.statistics.numbers import FEW_VALUES
from modelyard.monitoring.statistics.samples import LARGEST
from modelyard.spec import monitor

NUMBERS = arrays(
    "float64",
    st.integers(10, 60),
    elements=st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([0.0, 1.0, 2.0]),
)
NUMBER_TESTS = ["ks", "z", "wasserstein", "psi", "jensen-shannon", "kl", "hellinger"]


def options(field: str) -> list[str]:
    """The tests that a spec may choose for a kind of column."""
    found: list[str] = monitor.TestsSpec.model_json_schema()["properties"][field]["enum"]
    return found


def test_every_test_of_a_spec_is_looked_at_here() -> None:
    assert options("number") == NUMBER_TESTS


@given(NUMBERS, NUMBERS)
@settings(max_examples=40, deadline=None)
def test_the_ks_distance_is_scipys(first: np.ndarray, second: np.ndarray) -> None:
    expected = stats.ks_2samp(first, second, method="asymp").statistic
    assert statistics.ks(first, second).statistic == pytest.approx(expected)


def test_the_ks_p_value_is_scipys_for_large_samples(random: np.random.Generator) -> None:
    first, second = random.normal(size=20_000), random.normal(0.03, 1, 20_000)
    expected = stats.ks_2samp(first, second, method="asymp").pvalue
    assert statistics.ks(first, second).p_value == pytest.approx(expected, rel=0.05)


def test_equal_samples_have_nothing_to_tell() -> None:
    same = np.arange(50.0)
    found = statistics.ks(same, same)
    assert (found.statistic, found.p_value, found.effect) == (0.0, 1.0, 0.0)


def test_few_values_are_tested_as_sharply_as_a_share_can_be() -> None:
    first, second = np.repeat([0.0, 1.0], [1900, 100]), np.repeat([0.0, 1.0], [170, 30])
    exact = stats.fisher_exact([[1900, 100], [170, 30]]).pvalue
    found = statistics.ks(first, second)
    assert found.statistic == pytest.approx(0.1)
    assert found.p_value == pytest.approx(exact, rel=0.3)
    assert found.p_value < stats.ks_2samp(first, second, method="asymp").pvalue / 10


def test_one_value_more_than_few_makes_no_other_distance(random: np.random.Generator) -> None:
    for kinds in (FEW_VALUES, FEW_VALUES + 1):
        first, second = random.integers(0, kinds, 4_000) * 1.0, random.integers(0, kinds, 900) * 1.0
        expected = stats.ks_2samp(first, second, method="asymp").statistic
        assert statistics.ks(first, second).statistic == pytest.approx(expected)


def test_the_test_of_means_is_scipys(random: np.random.Generator) -> None:
    first, second = random.normal(size=300), random.normal(0.2, 2, 80)
    expected = stats.ttest_ind(second, first, equal_var=False)
    found = statistics.means(first, second)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.effect == pytest.approx(abs(second.mean() - first.mean()) / first.std(ddof=1))


@given(NUMBERS, NUMBERS)
@settings(max_examples=40, deadline=None)
def test_the_wasserstein_distance_is_scipys(first: np.ndarray, second: np.ndarray) -> None:
    deviation = float(first.std(ddof=1))
    found = statistics.wasserstein_distance(first, second)
    if deviation <= 1e-6 * max(np.abs(first).max(), np.abs(second).max()):
        return
    expected = stats.wasserstein_distance(first, second) / deviation
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_shift_is_so_many_deviations_in_each_measure(random: np.random.Generator) -> None:
    first, second = random.normal(5, 3, 20_000), random.normal(5 + 1.5, 3, 20_000)
    assert statistics.mean_shift(first, second) == pytest.approx(0.5, abs=0.03)
    assert statistics.wasserstein_distance(first, second) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", NUMBER_TESTS)
def test_a_test_of_numbers_finds_a_shift_and_says_how_large(
    name: str, random: np.random.Generator
) -> None:
    first, second = random.normal(size=2_000), random.normal(1, 1, 400)
    found = statistics.number_test(name, first, second)
    assert found.p_value < 1e-3
    assert 0.1 < found.effect <= LARGEST[found.effect_name]
    less = statistics.number_test(name, first, second - 0.7)
    assert less.effect < found.effect


@pytest.mark.parametrize("name", NUMBER_TESTS)
@given(first=NUMBERS, second=NUMBERS)
@settings(max_examples=15, deadline=None)
def test_whatever_the_numbers_the_answer_is_finite(
    name: str, first: np.ndarray, second: np.ndarray
) -> None:
    found = statistics.number_test(name, first, second)
    assert 0 <= found.p_value <= 1
    assert 0 <= found.effect <= LARGEST[found.effect_name] + 1e-9
    assert np.isfinite([found.statistic, found.effect]).all()


@pytest.mark.parametrize("name", NUMBER_TESTS)
def test_huge_numbers_are_no_trouble(name: str) -> None:
    first, second = np.linspace(-1, 1, 60) * 1e308, np.linspace(0, 1, 60) * 1e308
    found = statistics.number_test(name, first, second)
    assert np.isfinite([found.statistic, found.effect, found.p_value]).all()


@pytest.mark.parametrize("name", ["ks", "wasserstein", "psi", "jensen-shannon", "hellinger"])
@given(first=NUMBERS, second=NUMBERS, scale=st.floats(0.01, 100), move=st.floats(-10, 10))
@settings(max_examples=10, deadline=None)
def test_the_unit_of_a_column_does_not_matter(
    name: str, first: np.ndarray, second: np.ndarray, scale: float, move: float
) -> None:
    first, second = np.round(first, 3), np.round(second, 3)
    plain = statistics.number_test(name, first, second)
    moved = statistics.number_test(name, *(np.round(x * scale + move, 9) for x in (first, second)))
    if len(np.unique(np.concatenate([first, second]))) == len(
        np.unique(np.round(np.concatenate([first, second]) * scale + move, 9))
    ):
        assert moved.effect == pytest.approx(plain.effect, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["z", "wasserstein"])
def test_a_constant_reference_has_no_deviation_to_measure_in(name: str) -> None:
    found = statistics.number_test(name, np.ones(50), np.repeat([1.0, 2.0], 25))
    assert (found.test, found.effect_name) == ("two-sample Kolmogorov-Smirnov", "KS distance")
    assert found.effect == 0.5
    assert statistics.mean_shift(np.ones(9), np.zeros(9)) == 0
    assert statistics.wasserstein_distance(np.ones(9), np.zeros(9)) == 0


def shifted(sizes: Sizes | None) -> Callable[[str], statistics.Tested]:
    quantiles = stats.norm.ppf((np.arange(1_000) + 0.5) / 1_000)
    return lambda name: statistics.number_test(name, quantiles, quantiles + 0.1, sizes)


@pytest.mark.parametrize("name", NUMBER_TESTS)
def test_numbers_that_stand_for_more_rows_are_surer_and_no_further(name: str) -> None:
    few, many = shifted(None)(name), shifted(Sizes(1_000, 1_000_000))(name)
    assert many.p_value < few.p_value
    assert many.effect == pytest.approx(few.effect, rel=0.1, abs=0.002)


def test_bins_are_those_of_both_samples() -> None:
    known, seen = statistics.binned(np.arange(100.0), np.arange(100.0, 200.0))
    assert (known.sum(), seen.sum()) == (100, 100)
    assert len(known) == 10
    assert (known + seen).tolist() == pytest.approx([20] * 10, abs=1)
    assert seen[:5].max() == 0


@given(NUMBERS, NUMBERS)
@settings(max_examples=40, deadline=None)
def test_bins_hold_every_number_and_none_is_empty(first: np.ndarray, second: np.ndarray) -> None:
    counts = statistics.binned(first, second)
    assert (counts[0].sum(), counts[1].sum()) == (len(first), len(second))
    assert (counts[0] + counts[1]).min() > 0
