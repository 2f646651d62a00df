"""Paired tests: probabilities are probabilities, order does not matter, and chance stays chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.tracking.paired import (
    MANY_ROWS,
    bonett_price,
    mcnemar,
    sign_flips,
    wilson,
)

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
finite = st.floats(-1e6, 1e6, allow_subnormal=False)
numbers = st.lists(st.tuples(finite, finite), min_size=1, max_size=12)


@settings(deadline=None)  # the first call imports scipy
@given(pairs)
def test_mcnemar_is_symmetric_and_a_probability(answers: list[tuple[bool, bool]]) -> None:
    first, second = map(list, zip(*answers, strict=True))
    there, back = mcnemar(first, second), mcnemar(second, first)
    assert 0 <= there.p_value <= 1
    assert there.p_value == back.p_value
    assert there.difference == -back.difference
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert -1 <= there.low <= there.high <= 1


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1))
def test_a_model_does_not_differ_from_itself(answers: list[bool]) -> None:
    same = mcnemar(answers, answers)
    assert (same.p_value, same.difference, same.significant) == (1.0, 0.0, False)


@settings(deadline=None, max_examples=30)
@given(numbers)
def test_sign_flips_are_symmetric_and_a_probability(values: list[tuple[float, float]]) -> None:
    first, second = map(list, zip(*values, strict=True))
    there, back = sign_flips(first, second), sign_flips(second, first)
    assert 0 < there.p_value <= 1
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@pytest.mark.parametrize("rows", [1, 20, MANY_ROWS + 1])
def test_equal_errors_do_not_differ(rows: int) -> None:
    values = np.linspace(0, 1, rows).tolist()
    assert sign_flips(values, values).p_value == 1.0


def test_mcnemar_agrees_with_the_binomial_by_hand() -> None:
    """Six discordant rows, all won: two sided 2 / 2**6."""
    first, second = [False] * 6 + [True] * 20, [True] * 26
    answer = mcnemar(first, second)
    assert answer.p_value == pytest.approx(2 / 64)
    assert answer.significant
    assert (answer.first, answer.second) == pytest.approx((20 / 26, 1.0))


def test_few_rows_are_flipped_in_every_way() -> None:
    """Four rows that all got better by the same: of 16 flips two are as far from 0."""
    answer = sign_flips([1.0] * 4, [0.5] * 4)
    assert answer.p_value == pytest.approx(2 / 16)
    assert answer.difference == -0.5
    assert (answer.low, answer.high) == (-0.5, -0.5)


def test_the_same_question_has_the_same_answer() -> None:
    random = np.random.default_rng(5)
    first, second = random.normal(size=(2, 200)).tolist()
    assert sign_flips(first, second) == sign_flips(first, second)


@pytest.mark.parametrize("rows", [200, 5000])
def test_a_clear_difference_is_found_and_its_interval_holds_it(rows: int) -> None:
    random = np.random.default_rng(6)
    first = random.normal(size=rows)
    second = first + random.normal(0.2, 0.3, size=rows)
    answer = sign_flips(first.tolist(), second.tolist())
    assert answer.significant
    assert answer.low < 0.2 < answer.high


def test_flips_and_their_normal_form_agree() -> None:
    random = np.random.default_rng(7)
    first, second = random.normal(size=(2, MANY_ROWS))
    second = first + 0.05 * second + 0.003
    exact = sign_flips(first.tolist(), second.tolist())
    more = sign_flips([*first.tolist(), 0.0], [*second.tolist(), 0.0])
    assert exact.p_value == pytest.approx(more.p_value, abs=0.015)
    assert (exact.low, exact.high) == pytest.approx((more.low, more.high), abs=5e-4)


def test_false_alarms_are_as_rare_as_said() -> None:
    """Of 400 pairs of equally good models at most 5 % differ, up to three standard errors."""
    random = np.random.default_rng(8)
    alarms = sum(mcnemar(*(random.random((2, 150)) < 0.8).tolist()).significant for _ in range(400))
    assert alarms / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_wilson_agrees_with_the_published_example() -> None:
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I, method 3)."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_the_adjusted_wald_interval_by_hand() -> None:
    """Nine won and one lost of 98: differences of 10/100 and 2/100 after the adjustment."""
    half = 1.959963984540054 * math.sqrt((0.1 + 0.02 - 0.08**2) / 100)
    assert bonett_price(9, 1, 98) == pytest.approx((0.08 - half, 0.08 + half))


@pytest.mark.parametrize("test", [mcnemar, sign_flips])
def test_rows_that_are_no_pairs_are_refused(test: object) -> None:
    for first, second in (([], []), ([True], [True, False])):
        with pytest.raises(ValueError, match="in pairs"):
            test(first, second)  # type: ignore[operator]
