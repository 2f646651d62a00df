"""The tests agree with SciPy where it has them, and with chance where it has not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial import distance

from modelyard.monitoring import statistics

NUMBERS = arrays(
    "float64",
    st.integers(10, 60),
    elements=st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([0.0, 1.0, 2.0]),
)
COUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=8).filter(
    lambda pairs: all(map(sum, pairs)) and all(sum(side) for side in zip(*pairs, strict=True))
)
P_VALUES = st.lists(st.floats(0, 1), max_size=30)


def columns(pairs: list[tuple[int, int]]) -> tuple[statistics.Counts, statistics.Counts]:
    first, second = zip(*pairs, strict=True)
    return np.array(first), np.array(second)


@given(NUMBERS, NUMBERS)
def test_the_ks_distance_is_scipys(first: np.ndarray, second: np.ndarray) -> None:
    expected = stats.ks_2samp(first, second, method="asymp").statistic
    assert statistics.ks(first, second).statistic == pytest.approx(expected)


def test_the_ks_p_value_is_scipys_for_large_samples(random: np.random.Generator) -> None:
    first, second = random.normal(size=20_000), random.normal(0.03, 1, 20_000)
    expected = stats.ks_2samp(first, second, method="asymp").pvalue
    assert statistics.ks(first, second).p_value == pytest.approx(expected, rel=0.05)


def test_equal_samples_have_nothing_to_tell() -> None:
    same = np.arange(50.0)
    assert statistics.ks(same, same) == statistics.Tested(0.0, 1.0)


def test_chi_square_is_scipys_where_counts_are_large() -> None:
    first, second = np.array([500, 300, 200]), np.array([80, 70, 50])
    expected = stats.chi2_contingency([first, second], correction=False)
    found = statistics.chi_square(first, second)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_simulated_chance_agrees_with_theory(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.array([500, 300, 200]), np.array([80, 70, 50])
    theory = statistics.chi_square(first, second).p_value
    monkeypatch.setattr(statistics, "EXPECTED", np.inf)
    simulated = statistics.chi_square(first, second).p_value
    assert simulated == pytest.approx(theory, abs=0.01)
    assert simulated == statistics.chi_square(first, second).p_value


def test_simulated_chance_agrees_with_fisher_in_two_by_two() -> None:
    first, second = np.array([95, 5]), np.array([10, 3])
    exact = stats.fisher_exact([first, second]).pvalue
    assert statistics.chi_square(first, second).p_value == pytest.approx(exact, abs=0.01)


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_measures_of_counts_stay_in_their_range(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    assert 0 < statistics.chi_square(first, second).p_value <= 1
    assert 0 <= statistics.total_variation(first, second) <= 1
    assert 0 <= statistics.jensen_shannon(first, second) <= 1 + 1e-9
    assert statistics.psi(first, second) >= 0


@given(COUNTS)
def test_jensen_shannon_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    expected = distance.jensenshannon(first, second, base=2) ** 2
    assert statistics.jensen_shannon(first, second) == pytest.approx(expected, abs=1e-7)


@given(COUNTS)
def test_measures_do_not_care_which_side_is_which(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    for measure in (statistics.total_variation, statistics.jensen_shannon):
        assert measure(first, second) == pytest.approx(measure(second, first))


@given(NUMBERS, NUMBERS)
def test_bins_hold_every_number_and_none_is_empty(first: np.ndarray, second: np.ndarray) -> None:
    counts = statistics.binned(first, second)
    assert (counts[0].sum(), counts[1].sum()) == (len(first), len(second))
    assert (counts[0] + counts[1]).min() > 0


@given(P_VALUES)
def test_corrections_are_scipys_and_textbook(p_values: list[float]) -> None:
    bonferroni = statistics.correct(p_values, "bonferroni")
    assert bonferroni == pytest.approx([min(1.0, p * len(p_values)) for p in p_values])
    found = statistics.correct(p_values, "benjamini-hochberg")
    expected = stats.false_discovery_control(p_values) if p_values else []
    assert found == pytest.approx(list(expected))


@given(P_VALUES)
def test_bonferroni_is_never_bolder(p_values: list[float]) -> None:
    bold = statistics.correct(p_values, "benjamini-hochberg")
    careful = statistics.correct(p_values, "bonferroni")
    assert all(one <= other + 1e-12 for one, other in zip(bold, careful, strict=True))
