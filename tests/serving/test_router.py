"""The weighted pick keeps its shares, and a sticky key its variant."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.rollout.routes import Route, route_table
from modelyard.store.records import Variant
from serving.router import pick, position

WEIGHTS = st.lists(
    st.floats(min_value=0, max_value=1000, allow_subnormal=False), min_size=1, max_size=6
).filter(lambda weights: sum(weights) > 1e-3)


def routes(*weights: float) -> tuple[Route, ...]:
    variants = [
        Variant(model="m", version=number, weight=weight, role="challenger")
        for number, weight in enumerate(weights, start=1)
    ]
    return route_table(variants).models["m"]


@settings(deadline=None)
@given(WEIGHTS)
def test_each_variant_answers_its_share_of_evenly_spread_positions(weights: list[float]) -> None:
    count = 2000
    table = routes(*weights)
    counted = Counter(pick(table, (number + 0.5) / count).version for number in range(count))
    for version, weight in enumerate(weights, start=1):
        assert abs(counted[version] / count - weight / sum(weights)) <= 1.5 / count


@given(WEIGHTS, st.floats(min_value=0, max_value=1))
def test_a_variant_without_weight_never_answers(weights: list[float], at: float) -> None:
    assert weights[pick(routes(*weights), at).version - 1] > 0


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


@given(st.text(max_size=50), st.text(max_size=50))
def test_a_position_is_steady_and_between_0_and_1(model: str, key: str) -> None:
    assert 0 <= position(model, key) < 1
    assert position(model, key) == position(model, key)


def test_keys_are_spread_evenly() -> None:
    tenths = Counter(int(position("m", f"user-{number}") * 10) for number in range(20_000))
    assert all(abs(tenths[tenth] - 2000) < 200 for tenth in range(10))


def test_models_spread_the_same_key_differently() -> None:
    assert position("a", "key") != position("b", "key")
