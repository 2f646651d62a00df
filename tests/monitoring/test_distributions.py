"""Distributions are shares of the same bins on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.monitoring.profile import profile_frame, sketches
from modelyard.monitoring.reports.distributions import (
    BARS,
    BINS,
    Distribution,
    distributions,
    sketched,
)


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


def test_outputs_are_drawn_beside_inputs_and_embeddings_are_not(
    random: np.random.Generator,
) -> None:
    inputs = pd.DataFrame({"x": ["a", "b"]})
    outputs = pd.DataFrame(
        {"predicted.label": ["yes", "no"], "truth.label": ["yes", "yes"], "embedding.0": [1.0, 2.0]}
    )
    live = pd.DataFrame({"predicted.label": ["yes"], "embedding.0": [random.normal()]})
    found = distributions(inputs, inputs, (outputs, live))
    assert sorted(found) == ["predicted.label", "x"]
    assert (found["predicted.label"].labels, found["predicted.label"].live) == (
        ("yes", "no"),
        (1.0, 0.0),
    )


def test_sketches_give_the_same_picture_as_rows(random: np.random.Generator) -> None:
    known = pd.DataFrame(
        {"n": random.normal(size=3_000), "w": random.choice(["a", "b", "c"], 3_000)}
    )
    live = pd.DataFrame({"n": random.normal(1, 1, 2_000), "w": random.choice(["a", "d"], 2_000)})
    exact = distributions(known, live)
    rough = sketched(sketches(profile_frame(known)), sketches(profile_frame(live)))
    assert rough["w"] == exact["w"]
    assert rough["n"].edges == pytest.approx(exact["n"].edges, abs=0.3)
    for side in ("reference", "live"):
        shares = np.cumsum(getattr(rough["n"], side))
        assert shares[-1] == pytest.approx(1)
        assert np.abs(shares - np.cumsum(getattr(exact["n"], side))).max() < 0.08


def test_a_sketch_of_one_value_is_one_bar() -> None:
    same = sketches(profile_frame(pd.DataFrame({"n": [4.0] * 50})))
    found = sketched(same, same)["n"]
    assert (found.labels, found.live) == (("4",), (1.0,))


def test_a_column_that_changed_its_kind_has_no_picture_from_sketches() -> None:
    numbers = sketches(profile_frame(pd.DataFrame({"n": [1.0, 2.0, 3.0]})))
    words = sketches(profile_frame(pd.DataFrame({"n": ["a", "b", "c"]})))
    assert sketched(numbers, words) == {}
