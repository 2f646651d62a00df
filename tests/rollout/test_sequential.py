"""The tests on counts: what they conclude, and that they are rarely wrong however often one looks."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import rollout_simulation as simulation
from modelyard.rollout.sequential import (
    Count,
    difference,
    log_e_above,
    log_e_below,
    log_e_better,
    log_e_worse,
    rate_bounds,
)

NEEDED = log(1 / 0.05)
counts = st.integers(0, 5_000).flatmap(
    lambda trials: st.builds(Count, st.just(trials), st.integers(0, trials))
)
rates = st.floats(0.001, 0.999)


def test_without_trials_nothing_is_known() -> None:
    assert log_e_worse(Count(), Count()) <= 0
    assert log_e_better(Count(), Count(), 0.5) <= 0
    assert rate_bounds(Count(), 0.05) == pytest.approx((0, 1), abs=1e-4)
    assert difference(Count(), Count(), 0.05) == pytest.approx((-1, 1), abs=1e-4)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_evidence_is_fair_while_the_hypothesis_is_true(rate: float) -> None:
    """The expectation of the evidence against a true hypothesis is at most 1, after any number of trials."""
    from scipy.stats import binom

    for trials in (1, 2, 5, 30):
        hits = np.arange(trials + 1)
        chance = binom.pmf(hits, trials, rate)
        for evidence in (log_e_above, log_e_below):
            expected = float(chance @ np.exp(evidence(rate, trials, hits)))
            assert expected <= 1 + 1e-9


@pytest.mark.parametrize("paired", [False, True])
def test_evidence_of_two_arms_is_fair_at_every_common_rate(paired: bool) -> None:
    from scipy.stats import binom

    n, m = 12, 6
    for rate in (0.02, 0.2, 0.5, 0.8):
        expected = sum(
            float(binom.pmf(h, n, rate) * binom.pmf(k, m, rate))
            * float(np.exp(log_e_worse(Count(n, h), Count(m, k), paired=paired)))
            for h in range(n + 1)
            for k in range(m + 1)
        )
        assert expected <= 1 + 1e-6


def test_a_challenger_that_always_fails_is_seen_within_ten_calls() -> None:
    """At any share, also where the champion answers in its place, and as a shadow."""
    needed = log(9 / 0.05)
    assert log_e_worse(Count(95, 0), Count(5, 5)) > needed
    assert log_e_worse(Count(10, 0), Count(10, 10)) > needed
    assert log_e_worse(Count(10, 0), Count(10, 10), paired=True) > needed


def test_a_challenger_without_failures_is_shown_to_be_fine() -> None:
    assert log_e_better(Count(5_000, 0), Count(250, 0), 0.02) > NEEDED
    assert log_e_better(Count(5_000, 0), Count(100, 0), 0.02) < NEEDED


def test_both_failing_alike_is_no_evidence() -> None:
    assert log_e_worse(Count(1_000, 1_000), Count(50, 50)) < 1
    assert log_e_worse(Count(1_000, 300), Count(50, 15)) < 1


@settings(max_examples=15, deadline=None)
@given(counts, counts, st.booleans())
def test_bounds_hold_what_was_seen_and_agree_with_the_evidence(
    champion: Count, challenger: Count, paired: bool
) -> None:
    low, high = difference(champion, challenger, 0.05, paired=paired)
    assert -1 <= low <= high <= 1
    if champion.rate is not None and challenger.rate is not None:
        assert low - 1e-4 <= challenger.rate - champion.rate <= high + 1e-4
    assert (low > 1e-4) == (log_e_worse(champion, challenger, paired=paired) >= NEEDED) or (
        abs(low) < 2e-4
    )


@settings(max_examples=15, deadline=None)
@given(counts, rates)
def test_evidence_against_a_rate_grows_with_the_distance(count: Count, rate: float) -> None:
    further = rate / 2
    assert float(log_e_above(further, count.trials, count.hits)) >= min(
        0.0, float(log_e_above(rate, count.trials, count.hits)) - 1e-6
    )
    low, high = rate_bounds(count, 0.05)
    assert 0 <= low <= high <= 1


@settings(max_examples=15, deadline=None)
@given(counts, counts)
def test_either_conclusion_is_as_strong_for_the_complement(one: Count, other: Count) -> None:
    """To be worse in hits is to be better in misses; only the stakes of the arms are fixed."""
    misses = [Count(count.trials, count.trials - count.hits) for count in (one, other)]
    assert log_e_worse(one, other) == pytest.approx(log_e_better(*misses), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize(("share", "rate"), [(0.05, 0.0), (0.25, 0.01), (0.5, 0.1)])
def test_error_rates_stay_below_alpha_looking_after_every_request(
    share: float, rate: float
) -> None:
    random = np.random.default_rng(7)
    found = simulation.error_rate(random, share, rate, margin=0.05, rollouts=100, requests=1_500)
    assert max(found.false_rollbacks, found.false_promotions) <= 0.05


def test_shadow_answers_to_the_same_requests_are_no_exception() -> None:
    random = np.random.default_rng(7)
    found = simulation.error_rate(
        random, 1.0, 0.05, margin=0.05, rollouts=100, requests=1_000, paired=True
    )
    assert max(found.false_rollbacks, found.false_promotions) <= 0.05


def test_the_simulation_finds_the_first_crossing_that_the_product_finds() -> None:
    random = np.random.default_rng(3)
    paths = simulation.paths(random, 4, 150, (0.05, 0.3), 0.5)
    found = simulation.first_crossing(paths, NEEDED, None)
    for rollout in range(4):
        slow = [
            request for request in range(150) if log_e_worse(*paths.at(rollout, request)) >= NEEDED
        ]
        assert found[rollout] == (slow[0] if slow else simulation.NEVER)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_whole_rollouts_end_wrongly_less_often_than_alpha() -> None:
    random = np.random.default_rng(2026)
    good = simulation.whole_rollouts(random, {}, rollouts=300, requests=15_000)
    assert good.rolled_back <= 0.05
    assert good.promoted > 0.5
    for worse in ({"errors": 0.02}, {"wrong": 0.05}):
        bad = simulation.whole_rollouts(random, worse, rollouts=300, requests=15_000)
        assert bad.promoted <= 0.05
