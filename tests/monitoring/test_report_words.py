"""Figures in words: how sure, how much, since when, and what alpha promises."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelyard.monitoring.reports.words import (
    LARGEST,
    SHIFTS,
    SIZES,
    as_shift,
    lasting,
    listed,
    meaning,
    percent,
    promise,
    size,
    visible,
    window_of,
)
from modelyard.monitoring.statistics import samples
from modelyard.store.monitoring_records import DriftCheck
from modelyard.store.records import now

X = np.linspace(-14, 16, 200_001)
SHIFTED = [0.1, 0.2, 0.5, 0.8, 1.0, 1.2, 1.7]


def check(**changes: object) -> DriftCheck:
    values: dict[str, object] = {
        "model": "m",
        "version": 1,
        "window": "1000",
        "rows": 800,
        "first_at": now(),
        "last_at": now(),
        "reference_rows": 10,
        "alpha": 0.05,
        "correction": "benjamini-hochberg",
        "min_effect": 0.1,
        "drifted": False,
        "verdicts": (),
    }
    return DriftCheck.model_validate({**values, **changes})


def divergences(shift: float) -> dict[str, float]:
    """Compute each measure between two normal densities so far apart, by integration."""
    first, second = stats.norm.pdf(X), stats.norm.pdf(X, shift)
    middle = (first + second) / 2

    def kl(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.trapezoid(one * np.log(one / other), X))

    return {
        samples.DISTANCE: float(np.max(np.abs(stats.norm.cdf(X) - stats.norm.cdf(X, shift)))),
        samples.VARIATION: float(np.trapezoid(np.abs(first - second), X) / 2),
        samples.HELLINGER: math.sqrt(1 - float(np.trapezoid(np.sqrt(first * second), X))),
        samples.PSI: kl(first, second) + kl(second, first),
        samples.KULLBACK_LEIBLER: kl(first, second),
        samples.JENSEN_SHANNON: (kl(first, middle) + kl(second, middle)) / 2 / math.log(2),
        samples.STANDARDISED: shift,
        samples.TRANSPORT: shift,
        samples.TOLD_APART: 2 * float(stats.norm.cdf(shift / math.sqrt(2))) - 1,
    }


@pytest.mark.parametrize("shift", SHIFTED)
def test_each_measure_is_read_as_the_shift_that_makes_it(shift: float) -> None:
    for name, effect in divergences(shift).items():
        assert as_shift(name, effect) == pytest.approx(shift, rel=0.03), name


def test_a_measure_without_a_scale_has_no_size_and_no_sentence() -> None:
    assert size(samples.DISCREPANCY, 0.5) is None
    assert meaning(samples.DISCREPANCY, 0.5) is None
    assert size("none", 0.0) is None


def test_every_measure_of_the_tests_is_known_or_has_no_scale() -> None:
    names = {name.lower() for name in samples.LARGEST}
    assert set(SHIFTS) == names - {samples.DISCREPANCY.lower()}


@given(st.sampled_from(sorted(SHIFTS)), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_effect_is_never_called_smaller(name: str, one: float, other: float) -> None:
    order = [word for _, word in SIZES] + [LARGEST]
    ranks = [order.index(size(name, effect) or "") for effect in sorted((one, other))]
    assert ranks == sorted(ranks)


def test_what_an_effect_means_is_said() -> None:
    assert meaning("KS distance", 0.314) == (
        "the share of rows below some value differs by 31 percentage points"
    )
    assert "25 of 100 rows" in (meaning("total variation", 0.25) or "")
    assert "75 of 100 cases" in (meaning("2 AUC - 1", 0.5) or "")


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        ("benjamini-hochberg", "of the columns that are named at most 5 % on average"),
        ("bonferroni", "whatever else drifted, at most 5 % of windows"),
    ],
)
def test_alpha_promises_what_its_correction_holds(correction: str, words: str) -> None:
    assert words in promise(check(correction=correction))


@pytest.mark.parametrize(
    ("window", "segment", "words"),
    [
        ("1000", "", "last 800 predictions"),
        ("all", "", "all 800 predictions"),
        ("24h", "site=north", "800 predictions of the last 24h with site=north"),
    ],
)
def test_a_window_is_named(window: str, segment: str, words: str) -> None:
    assert window_of(check(window=window, segment=segment)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (100, "100 seconds"),
        (120, "2 minutes"),
        (7_200, "2 hours"),
        (200_000, "2 days"),
        (-5, "0 seconds"),
    ],
)
def test_a_stretch_of_time_has_one_unit(seconds: int, words: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(("share", "words"), [(0.05, "5 %"), (0.123456, "12.3 %"), (1.0, "100 %")])
def test_a_share_has_no_idle_digits(share: float, words: str) -> None:
    assert percent(share) == words


def test_many_and_long_names_are_cut() -> None:
    assert listed([f"c{number}" for number in range(15)]).endswith("c11 and 3 more")
    assert len(listed(["x" * 500])) == 60


@given(st.text())
def test_nothing_that_turns_or_hides_text_is_left(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert not set(shown) & {"\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\u2028"}


def test_plain_text_of_any_script_is_left_alone() -> None:
    text = "Größe 日本語 עברית\n\ttab"
    assert visible(text) == text
