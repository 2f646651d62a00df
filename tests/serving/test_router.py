"""The weighted pick keeps its shares, and a sticky key its variant."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.rollout.routes import ModelTraffic, Route, RouteTable, route_table
from modelyard.store.records import Variant
from serving.traffic.router import Split, key_of, lanes_of, pick, position, split_of

WEIGHTS = st.lists(
    st.floats(min_value=0, max_value=1000, allow_subnormal=False), min_size=1, max_size=6
).filter(lambda weights: sum(weights) > 1e-3)
TWO_SPLITS = st.integers(2, 6).flatmap(
    lambda count: st.tuples(
        *(
            st.lists(st.integers(0, 20), min_size=count, max_size=count).filter(any)
            for _ in range(2)
        )
    )
)
POSITIONS = st.floats(min_value=0, max_value=1, exclude_max=True)


def routes(*weights: float) -> tuple[Route, ...]:
    variants = [
        Variant(model="m", version=number, weight=weight, role="challenger")
        for number, weight in enumerate(weights, start=1)
    ]
    return route_table(variants).models["m"]


def stretches(split: Split) -> dict[int, tuple[float, float]]:
    """Version to where its stretch begins and ends."""
    borders = [0.0, *split.edges, 1.0]
    return {
        route.version: edges for route, edges in zip(split.routes, pairwise(borders), strict=True)
    }


def moved_share(before: Split, after: Split) -> float:
    """How much of 0 to 1 belongs to another version after than before."""
    borders = sorted({0.0, *before.edges, *after.edges, 1.0})
    return math.fsum(
        high - low
        for low, high in pairwise(borders)
        if before.at((low + high) / 2).version != after.at((low + high) / 2).version
    )


@settings(deadline=None, max_examples=40)
@given(WEIGHTS)
def test_each_variant_answers_its_share_of_evenly_spread_positions(weights: list[float]) -> None:
    count = 2000
    split = split_of(routes(*weights))
    counted = Counter(split.at((number + 0.5) / count).version for number in range(count))
    for version, weight in enumerate(weights, start=1):
        assert abs(counted[version] / count - weight / sum(weights)) <= 1.5 / count


@settings(deadline=None)
@given(WEIGHTS, POSITIONS)
def test_a_variant_without_weight_never_answers(weights: list[float], at: float) -> None:
    assert weights[pick(routes(*weights), at).version - 1] > 0


@settings(deadline=None)
@given(WEIGHTS, POSITIONS, st.floats(min_value=1e-3, max_value=1e3))
def test_only_the_ratio_of_weights_counts(weights: list[float], at: float, scale: float) -> None:
    split, scaled = split_of(routes(*weights)), split_of(routes(*(scale * w for w in weights)))
    if all(abs(at - edge) > 1e-9 for edge in split.edges):
        assert split.at(at).version == scaled.at(at).version


@settings(deadline=None)
@given(
    st.floats(min_value=0.01, max_value=0.98),
    st.floats(min_value=0, max_value=1),
    st.text(max_size=20),
)
def test_a_key_that_a_new_version_answered_stays_with_it_as_its_share_grows(
    share: float, growth: float, key: str
) -> None:
    larger = share + (1 - share) * growth
    at = position("m", key)
    if pick(routes(1 - share, share), at).version == 2:
        assert pick(routes(1 - larger, larger), at).version == 2


@settings(deadline=None, max_examples=40)
@given(TWO_SPLITS)
def test_the_share_of_keys_that_change_their_variant_is_the_share_that_is_moved(
    weights: tuple[list[int], list[int]],
) -> None:
    before, after = (split_of(routes(*some)) for some in weights)
    count = 1000
    places = [(number + 0.5) / count for number in range(count)]
    changed = sum(before.at(place).version != after.at(place).version for place in places)
    slack = (len(before.edges) + len(after.edges) + 1) / count
    assert abs(changed / count - moved_share(before, after)) <= slack


@settings(deadline=None, max_examples=50)
@given(TWO_SPLITS, POSITIONS)
def test_a_key_moves_only_if_an_edge_moved_over_it(
    weights: tuple[list[int], list[int]], at: float
) -> None:
    before, after = (split_of(routes(*some)) for some in weights)
    one, other = before.at(at).version, after.at(at).version
    if one != other:
        was, now = stretches(before), stretches(after)
        assert was[one] != now.get(one)
        assert was.get(other) != now[other]


@settings(deadline=None, max_examples=50)
@given(TWO_SPLITS)
def test_of_two_variants_exactly_the_moved_share_changes(
    weights: tuple[list[int], list[int]],
) -> None:
    first, second = ([some[0] + 1, some[1] + 1] for some in weights)
    before, after = split_of(routes(*first)), split_of(routes(*second))
    difference = abs(first[0] / sum(first) - second[0] / sum(second))
    assert moved_share(before, after) == pytest.approx(difference, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(TWO_SPLITS)
def test_never_more_changes_than_all_edges_moved_together(
    weights: tuple[list[int], list[int]],
) -> None:
    before, after = (split_of(routes(*(weight + 1 for weight in some))) for some in weights)
    moved = math.fsum(abs(b - a) for b, a in zip(before.edges, after.edges, strict=True))
    assert moved_share(before, after) <= moved + 1e-12


@settings(deadline=None)
@given(st.text(max_size=50), st.text(max_size=50))
def test_a_position_is_steady_and_between_0_and_1(model: str, key: str) -> None:
    assert 0 <= position(model, key) < 1
    assert position(model, key) == position(model, key)


def test_a_position_is_the_same_on_every_machine_and_in_every_release() -> None:
    assert position("digits", "user-1") == pytest.approx(0.7580600569837127, abs=1e-15)


def test_keys_are_spread_evenly() -> None:
    tenths = Counter(int(position("m", f"user-{number}") * 10) for number in range(20_000))
    assert all(abs(tenths[tenth] - 2000) < 200 for tenth in range(10))


def test_models_spread_the_same_key_differently() -> None:
    assert position("a", "key") != position("b", "key")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("ann", "ann"),
        (7, "7"),
        (7.0, "7"),
        (7.5, "7.5"),
        (True, "True"),
        ("", None),
        (None, None),
        ([1], None),
        (b"file", None),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_a_key_is_read_from_a_field_however_it_was_written(value: object, key: str | None) -> None:
    assert key_of({"user": value}, "user") == key


def test_a_row_without_the_field_has_no_key() -> None:
    assert key_of({}, "user") is None


def test_a_key_that_no_encoding_knows_still_has_a_place() -> None:
    assert 0 <= position("m", "\ud800") < 1


def test_lanes_name_the_champion_and_who_gets_copies() -> None:
    table = route_table(
        [
            Variant(model="m", version=1, weight=1, role="champion", shadow=1),
            Variant(model="m", version=2, weight=0, role="challenger", shadow=0.5),
            Variant(model="m", version=3, weight=1, role="challenger"),
        ],
        {"m": ModelTraffic(phase="p"), "gone": ModelTraffic(phase="q")},
    )
    lanes = lanes_of(table, "m")
    assert lanes.champion is not None
    assert lanes.champion.version == 1
    assert [route.version for route in lanes.shadows] == [2]
    assert lanes.traffic.phase == "p"
    assert "gone" not in table.traffic


def test_lanes_without_any_share_have_nobody_who_answers() -> None:
    table = route_table([Variant(model="m", version=1, weight=0, role="challenger")])
    assert lanes_of(table, "m").split is None
    assert lanes_of(table, "m").champion is None


def test_the_table_survives_the_way_through_serves_configuration() -> None:
    table = route_table(
        [Variant(model="m", version=1, weight=1, role="champion", shadow=0.1, experiment="e")],
        {"m": ModelTraffic(phase="p", slow_ms=12.5, timeout_ms=300, sticky_field="user")},
    )
    assert RouteTable.model_validate(table.model_dump(mode="json")) == table
