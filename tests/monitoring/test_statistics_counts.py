"""Tests and measures of counts: SciPy's where it has them, exact where chance can be summed up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from scipy.spatial import distance

from modelyard.monitoring import statistics
from modelyard.monitoring.statistics import divergences
from modelyard.monitoring.statistics.chance import by_chance
from modelyard.monitoring.statistics.counts import chi_statistic
from modelyard.monitoring.statistics.samples import LARGEST

CATEGORY_TESTS = ["chi-square", "psi", "jensen-shannon", "kl", "hellinger"]
COUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=8).filter(
    lambda pairs: all(map(sum, pairs)) and all(sum(side) for side in zip(*pairs, strict=True))
)
P_VALUES = st.lists(st.floats(0, 1), max_size=30)


def columns(pairs: list[tuple[int, int]]) -> tuple[statistics.Counts, statistics.Counts]:
    first, second = zip(*pairs, strict=True)
    return np.array(first), np.array(second)


def test_chi_square_is_scipys_where_counts_are_large() -> None:
    first, second = np.array([500, 300, 200]), np.array([160, 140, 100])
    expected = stats.chi2_contingency([first, second], correction=False)
    found = statistics.chi_square(first, second)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


@given(COUNTS)
@settings(max_examples=30, deadline=None)
def test_the_statistic_is_scipys_however_small_the_counts(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    expected = stats.chi2_contingency([first, second], correction=False).statistic
    assert float(chi_statistic(first, second)) == pytest.approx(expected, abs=1e-9)


def test_simulated_chance_agrees_with_theory() -> None:
    first, second = np.array([500, 300, 200]), np.array([80, 70, 50])
    theory = stats.chi2_contingency([first, second], correction=False).pvalue
    simulated = by_chance(chi_statistic, first, second)
    assert simulated == pytest.approx(theory, abs=0.01)
    assert simulated == by_chance(chi_statistic, first, second)


@given(
    st.tuples(st.integers(1, 400), st.integers(0, 30)),
    st.tuples(st.integers(1, 90), st.integers(0, 30)),
)
@settings(max_examples=40, deadline=None)
def test_two_categories_are_fishers_exact_test(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    table = np.array([first, second])
    if table.sum(axis=0).min() == 0:
        return
    totals, rows = table.sum(axis=0), sum(second)
    hits = np.arange(max(0, rows - totals[1]), min(totals[0], rows) + 1)
    far = np.abs(hits / rows - (totals[0] - hits) / sum(first))
    chance = stats.hypergeom.pmf(hits, totals.sum(), totals[0], rows)
    expected = chance[far >= far[hits == second[0]] - 1e-9].sum()
    found = by_chance(divergences.total_variation, *table)
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_tail_of_chi_square_is_not_trusted_where_few_are_expected() -> None:
    first, second = np.array([4_000, 950, 50]), np.array([750, 220, 20])
    theory = stats.chi2_contingency([first, second], correction=False).pvalue
    found = statistics.chi_square(first, second).p_value
    assert theory < 0.05
    assert theory < found < 2 * theory


@pytest.mark.parametrize("name", CATEGORY_TESTS)
def test_p_values_are_spread_evenly_without_drift(name: str) -> None:
    random = np.random.default_rng(5)
    shares = [0.5, 0.3, 0.14, 0.05, 0.01]
    found = np.array(
        [
            statistics.category_test(
                name, random.multinomial(500, shares) + 1, random.multinomial(100, shares)
            ).p_value
            for _ in range(150)
        ]
    )
    # So rarely may a right implementation fail, were the seed not fixed.
    for alpha in (0.05, 0.2, 0.5):
        assert (found <= alpha).sum() <= stats.binom.ppf(0.999, len(found), alpha)
    assert (found <= 0.5).mean() > 0.3


@pytest.mark.parametrize("name", CATEGORY_TESTS)
@given(pairs=COUNTS)
@settings(max_examples=15, deadline=None)
def test_any_counts_get_an_answer(name: str, pairs: list[tuple[int, int]]) -> None:
    found = statistics.category_test(name, *columns(pairs))
    assert 0 < found.p_value <= 1
    assert 0 <= found.effect <= LARGEST[found.effect_name] + 1e-9
    assert np.isfinite(found.effect)


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_measures_stay_in_their_range(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    assert 0 <= statistics.total_variation(first, second) <= 1
    assert 0 <= statistics.jensen_shannon(first, second) <= 1
    assert 0 <= statistics.hellinger(first, second) <= 1
    assert statistics.psi(first, second) >= 0
    assert statistics.kullback_leibler(first, second) >= -1e-12


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_jensen_shannon_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    expected = distance.jensenshannon(first, second, base=2) ** 2
    assert statistics.jensen_shannon(first, second) == pytest.approx(expected, abs=1e-7)


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_divergences_are_scipys_of_smoothed_counts(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    p, q = ((side + 0.5) / (side + 0.5).sum() for side in (first, second))
    assert statistics.kullback_leibler(first, second) == pytest.approx(stats.entropy(q, p))
    both = stats.entropy(q, p) + stats.entropy(p, q)
    assert statistics.psi(first, second) == pytest.approx(both, abs=1e-12)
    own = special.entr(q).sum()
    expected = own + stats.entropy(q, p)
    assert statistics.cross_entropy(first, second) == pytest.approx(expected)


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_some_measures_do_not_care_which_side_is_which(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    for name in ("total_variation", "jensen_shannon", "hellinger", "psi"):
        measure = getattr(statistics, name)
        assert measure(first, second) == pytest.approx(measure(second, first))


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_measures_bound_each_other_as_the_books_say(pairs: list[tuple[int, int]]) -> None:
    first, second = columns(pairs)
    far, root = statistics.total_variation(first, second), statistics.hellinger(first, second)
    assert root**2 <= far + 1e-9
    assert far <= np.sqrt(2) * root + 1e-9


@given(P_VALUES)
@settings(max_examples=40, deadline=None)
def test_corrections_are_scipys_and_textbook(p_values: list[float]) -> None:
    bonferroni = statistics.correct(p_values, "bonferroni")
    assert bonferroni == pytest.approx([min(1.0, p * len(p_values)) for p in p_values])
    found = statistics.correct(p_values, "benjamini-hochberg")
    expected = stats.false_discovery_control(p_values) if p_values else []
    assert found == pytest.approx(list(expected))


@given(P_VALUES)
@settings(max_examples=40, deadline=None)
def test_bonferroni_is_never_bolder(p_values: list[float]) -> None:
    bold = statistics.correct(p_values, "benjamini-hochberg")
    careful = statistics.correct(p_values, "bonferroni")
    assert all(one <= other + 1e-12 for one, other in zip(bold, careful, strict=True))
