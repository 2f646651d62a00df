"""Distributions are shares of the same bins on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.monitoring.distributions import BARS, BINS, Distribution, distributions


def of(known: list[object], live: list[object]) -> Distribution:
    kind = "float64" if all(isinstance(one, float) for one in known) else "object"
    tables = [pd.DataFrame({"x": pd.Series(known, dtype=kind)}), pd.DataFrame({"x": live})]
    return distributions(*tables)["x"]


def test_numbers_are_binned(random: np.random.Generator) -> None:
    found = of(list(map(float, random.normal(size=500))), list(map(float, random.normal(size=90))))
    assert found.edges is not None
    assert (len(found.edges), len(found.reference), len(found.live)) == (BINS + 1, BINS, BINS)
    assert (sum(found.reference), sum(found.live)) == pytest.approx((1, 1))


def test_few_different_numbers_are_bars_in_their_order() -> None:
    found = of([3.0, 1.0, 2.0, 1.0], [10.0, 1.0])
    assert found.labels == ("1", "2", "3", "10")
    assert found.reference == (0.5, 0.25, 0.25, 0)
    assert found.live == (0.5, 0, 0, 0.5)


def test_categories_are_bars_with_the_most_frequent_first() -> None:
    found = of(["a", "b", "b", "b"], ["c", "c"])
    assert found.labels == ("b", "c", "a")
    assert found.edges is None


def test_many_categories_have_the_rest_in_one_bar() -> None:
    words: list[object] = [f"w{number}" for number in range(40)]
    found = of([*words, *words[:BARS]], words)
    assert found.labels is not None
    assert len(found.labels) == BARS + 1
    assert found.labels[-1] == "28 others"
    assert sum(found.live) == pytest.approx(1)


def test_one_outlier_does_not_squeeze_the_rest(random: np.random.Generator) -> None:
    found = of(
        list(map(float, random.normal(size=1000))), [*map(float, random.normal(size=999)), 1e9]
    )
    assert found.edges is not None
    assert found.edges[-1] < 10
    assert sum(found.live) == pytest.approx(1)


def test_a_window_far_away_is_in_the_picture(random: np.random.Generator) -> None:
    far = [float(x) for x in random.normal(1000, 1, 50)]
    found = of([float(x) for x in random.normal(size=1000)], far)
    assert found.live[-1] > 0.9


def test_a_window_without_values_is_drawn_empty() -> None:
    assert sum(of([1.0, 2.0], [None, None]).live) == 0


def test_a_column_without_any_value_has_no_distribution() -> None:
    empty = pd.DataFrame({"x": [None, None]})
    assert distributions(empty, empty) == {}


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60))
@settings(deadline=None)
def test_any_numbers_can_be_drawn(values: list[float]) -> None:
    found = of(list(values), list(values))
    assert found.reference == found.live
    assert sum(found.live) == pytest.approx(1)
