"""Embeddings are compared as one thing: what no single number of them shows is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from modelyard.monitoring import statistics
from modelyard.monitoring.statistics import embeddings

NAMES = ["mmd", "classifier"]


def rows(random: np.random.Generator, count: int, shift: float = 0.0, wide: int = 8) -> np.ndarray:
    """Normal rows; the first number is shifted."""
    return random.normal(size=(count, wide)) + shift * np.eye(wide)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_is_found_and_measured(name: str, random: np.random.Generator) -> None:
    reference = rows(random, 600)
    found = [
        statistics.embedding_test(name, reference, rows(random, 300, shift))
        for shift in (0.0, 1.0, 3.0)
    ]
    assert found[0].p_value > 0.01
    assert max(found[1].p_value, found[2].p_value) < 0.001
    assert all(less.effect < more.effect for less, more in pairwise(found))


def test_a_change_without_a_shift_is_seen_by_mmd(random: np.random.Generator) -> None:
    narrow = rows(random, 300) * np.where(np.arange(8) < 4, 0.3, 1.0)
    assert statistics.mmd(rows(random, 600), narrow).p_value < 0.001


def test_numbers_that_only_go_together_otherwise_are_seen_by_mmd(
    random: np.random.Generator,
) -> None:
    shared = random.normal(size=(400, 1))
    together = np.sqrt(0.1) * random.normal(size=(400, 4)) + np.sqrt(0.9) * shared
    alone = random.normal(size=(800, 4))
    assert min(stats.ks_2samp(alone[:, i], together[:, i]).pvalue for i in range(4)) > 0.01
    assert statistics.mmd(alone, together).p_value < 0.001


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_spread_evenly_without_drift(name: str) -> None:
    random = np.random.default_rng(2)
    found = np.array(
        [
            statistics.embedding_test(
                name, rows(random, 150, wide=4), rows(random, 60, wide=4)
            ).p_value
            for _ in range(80)
        ]
    )
    for alpha in (0.05, 0.2, 0.5):
        assert (found <= alpha).sum() <= stats.binom.ppf(0.999, len(found), alpha)
    assert (found <= 0.5).mean() > 0.25


def test_mmd_is_that_of_the_kernel(
    random: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "FREQUENCIES", 4_000)
    monkeypatch.setattr(embeddings, "ROUNDS", ((9, 0),))
    first, second = rows(random, 200, wide=3), rows(random, 150, 1.0, wide=3)
    both = np.concatenate([first, second])
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    squares = np.square(both[:, None] - both[None]).sum(axis=2)
    kernel = np.exp(-squares / (2 * np.median(squares[np.triu_indices(350, 1)])))
    np.fill_diagonal(kernel, 0)
    within = kernel[:200, :200].sum() / (200 * 199) + kernel[200:, 200:].sum() / (150 * 149)
    exact = np.sqrt(within - 2 * kernel[:200, 200:].mean())
    assert statistics.mmd(first, second).effect == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_rows_give_the_same_answer(name: str, random: np.random.Generator) -> None:
    first, second = rows(random, 90), rows(random, 40)
    again = statistics.embedding_test(name, first, second)
    assert statistics.embedding_test(name, first, second) == again


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_never_changes_does_no_harm(name: str, random: np.random.Generator) -> None:
    first, second = rows(random, 90), rows(random, 60, 2.0)
    first[:, 3] = second[:, 3] = 7
    assert statistics.embedding_test(name, first, second).p_value < 0.01


def test_a_thousand_rows_against_five_thousand_take_no_time(
    random: np.random.Generator, record_property: Callable[[str, object], None]
) -> None:
    begun = time.process_time()
    statistics.mmd(rows(random, 5_000, wide=16), rows(random, 1_000, 1.0, wide=16))
    seconds = time.process_time() - begun
    record_property("seconds for a drifted embedding of 1,000 rows", round(seconds, 2))
    assert seconds < 10  # a third of a second on an idle machine
