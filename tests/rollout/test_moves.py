"""Decisions are pure: from the variants now to a move, or None."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelyard.errors import UsageError
from modelyard.rollout import moves
from modelyard.rollout.moves import Author, Move
from modelyard.spec.serve import RolloutSpec
from modelyard.store.records import Role, Variant

ME = Author("me", reason="a test")


def variant(version: int, weight: float, role: Role) -> Variant:
    return Variant(model="m", version=version, weight=weight, role=role)


def canary(shares: list[float]) -> RolloutSpec:
    return RolloutSpec(canary=tuple(shares))


def shown(move: Move | None) -> list[tuple[int, float, str]]:
    assert move is not None
    return [(item.version, round(item.weight, 6), item.role) for item in move.variants]


CHAMPION = [variant(1, 1, "champion")]
CANARY = [variant(1, 0.95, "champion"), variant(2, 0.05, "challenger")]
WARM = [variant(1, 0, "warm"), variant(2, 1, "champion")]


def test_a_first_version_is_placed_and_then_becomes_champion() -> None:
    placed = moves.deploy([], "m", 1, ME)
    assert shown(placed) == [(1, 0, "challenger")]
    assert placed is not None
    assert shown(moves.begin(placed.variants, "m", 1, canary([0.05]), ME)) == [(1, 1, "champion")]


def test_a_later_version_is_placed_without_traffic() -> None:
    assert shown(moves.deploy(CHAMPION, "m", 2, ME)) == [(1, 1, "champion"), (2, 0, "challenger")]


def test_a_placed_version_gets_the_first_canary_share() -> None:
    placed = [*CHAMPION, variant(2, 0, "challenger")]
    assert shown(moves.begin(placed, "m", 2, canary([0.05, 0.5]), ME)) == [
        (1, 0.95, "champion"),
        (2, 0.05, "challenger"),
    ]


def test_without_canary_steps_a_placed_version_is_promoted() -> None:
    placed = [*CHAMPION, variant(2, 0, "challenger")]
    assert shown(moves.begin(placed, "m", 2, canary([]), ME)) == [
        (1, 0, "warm"),
        (2, 1, "champion"),
    ]


def test_a_version_that_has_traffic_does_not_advance_again() -> None:
    assert moves.begin(CANARY, "m", 2, canary([0.5]), ME) is None


def test_a_version_that_was_taken_away_does_not_advance() -> None:
    assert moves.begin(CHAMPION, "m", 2, canary([0.5]), ME) is None


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_served_is_not_placed_again(version: int) -> None:
    assert moves.deploy(CANARY, "m", version, ME) is None


def test_a_new_version_takes_the_place_of_a_challenger_once_it_has_traffic() -> None:
    placed = moves.deploy(CANARY, "m", 3, ME)
    assert shown(placed) == [(1, 0.95, "champion"), (2, 0.05, "challenger"), (3, 0, "challenger")]
    assert placed is not None
    assert shown(moves.begin(placed.variants, "m", 3, canary([0.1]), ME)) == [
        (1, 0.9, "champion"),
        (3, 0.1, "challenger"),
    ]


def test_a_challenger_that_never_got_traffic_is_replaced_at_once() -> None:
    stale = [*CHAMPION, variant(2, 0, "challenger")]
    assert shown(moves.deploy(stale, "m", 3, ME)) == [(1, 1, "champion"), (3, 0, "challenger")]


def test_promoting_the_challenger_keeps_the_former_champion_warm() -> None:
    assert shown(moves.promote(CANARY, "m", None, ME)) == [(1, 0, "warm"), (2, 1, "champion")]


def test_promoting_retires_what_was_warm_before() -> None:
    three = [*WARM, variant(3, 0.0, "challenger")]
    assert shown(moves.promote(three, "m", 3, ME)) == [(2, 0, "warm"), (3, 1, "champion")]


def test_promoting_the_champion_again_changes_nothing() -> None:
    assert moves.promote(CHAMPION, "m", 1, ME) is None
    assert moves.promote(WARM, "m", 2, ME) is None


def test_promoting_the_champion_ends_a_split() -> None:
    assert shown(moves.promote(CANARY, "m", 1, ME)) == [(1, 1, "champion")]


def test_promoting_needs_to_know_which() -> None:
    with pytest.raises(UsageError, match="challengers: none"):
        moves.promote(CHAMPION, "m", None, ME)
    with pytest.raises(UsageError, match=r"9 of m is not deployed; deployed: 1"):
        moves.promote(CHAMPION, "m", 9, ME)


def test_roll_back_takes_a_challenger_away() -> None:
    assert shown(moves.rollback(CANARY, "m", ME)) == [(1, 1, "champion")]


def test_roll_back_returns_to_the_former_champion_and_forth() -> None:
    back = moves.rollback(WARM, "m", ME)
    assert shown(back) == [(1, 1, "champion"), (2, 0, "warm")]
    assert back is not None
    assert shown(moves.rollback(back.variants, "m", ME)) == [(1, 0, "warm"), (2, 1, "champion")]


def test_roll_back_keeps_what_is_warm_while_a_challenger_is_there() -> None:
    three = [variant(1, 0, "warm"), variant(2, 0.5, "champion"), variant(3, 0.5, "challenger")]
    assert shown(moves.rollback(three, "m", ME)) == [(1, 0, "warm"), (2, 1, "champion")]


@pytest.mark.parametrize("now", [[], CHAMPION])
def test_with_nothing_to_go_back_to_roll_back_is_refused(now: list[Variant]) -> None:
    with pytest.raises(UsageError, match="neither a challenger nor a former champion"):
        moves.rollback(now, "m", ME)


def test_weights_of_any_sum_are_shares() -> None:
    assert shown(moves.split(CANARY, "m", {1: 3, 2: 1}, ME)) == [
        (1, 0.75, "champion"),
        (2, 0.25, "challenger"),
    ]


def test_a_version_that_is_not_named_gets_nothing() -> None:
    assert shown(moves.split(CANARY, "m", {2: 1}, ME)) == [
        (1, 0, "champion"),
        (2, 1, "challenger"),
    ]


def test_a_warm_version_that_gets_traffic_is_a_challenger() -> None:
    assert shown(moves.split(WARM, "m", {1: 0.5, 2: 0.5}, ME)) == [
        (1, 0.5, "challenger"),
        (2, 0.5, "champion"),
    ]


@pytest.mark.parametrize(
    "weights", [{}, {1: 0.0}, {1: -1.0, 2: 2.0}, {1: float("nan")}, {1: float("inf")}]
)
def test_weights_that_are_no_shares_are_refused(weights: dict[int, float]) -> None:
    with pytest.raises(UsageError, match="weights must be"):
        moves.split(CANARY, "m", weights, ME)


def test_a_version_that_cannot_start_leaves_its_share_to_the_champion() -> None:
    assert shown(moves.withdraw(CANARY, "m", 2, ME)) == [(1, 1, "champion")]
    assert moves.withdraw(CANARY, "m", 1, ME) is None
    assert moves.withdraw(CANARY, "m", 9, ME) is None


def test_other_models_are_left_out() -> None:
    other = Variant(model="other", version=7, weight=1, role="champion")
    assert shown(moves.promote([*CANARY, other], "m", 2, ME)) == [
        (1, 0, "warm"),
        (2, 1, "champion"),
    ]


def test_a_ledger_row_says_from_to_why_and_by_whom() -> None:
    move = moves.promote(CANARY, "m", 2, Author("ann", "run-1"))
    assert move is not None
    entry = move.entry
    assert entry.before == {"1": 0.95, "2": 0.05}
    assert entry.after == {"1": 0, "2": 1}
    assert (entry.action, entry.by, entry.run) == ("promote", "ann", "run-1")
    assert entry.reason == "version 2 becomes champion"


def test_the_same_move_of_the_same_run_has_the_same_id() -> None:
    ids = {
        found.entry.id
        for _ in range(2)
        if (found := moves.deploy(CHAMPION, "m", 2, Author("stage", "run-1"))) is not None
    }
    assert len(ids) == 1


def test_by_hand_the_same_move_may_come_twice() -> None:
    first = moves.rollback(CANARY, "m", ME)
    second = moves.rollback(CANARY, "m", ME)
    assert first is not None
    assert second is not None
    assert first.entry.id != second.entry.id


class AnyMoves(RuleBasedStateMachine):
    """Whatever is decided in whatever order, what is served makes sense."""

    def __init__(self) -> None:
        super().__init__()
        self.variants: tuple[Variant, ...] = ()
        self.newest = 0

    def _do(self, move: Move | None) -> None:
        if move is not None:
            assert move.variants != self.variants
            self.variants = move.variants

    @rule(shares=st.lists(st.floats(min_value=0.01, max_value=0.99), max_size=2))
    def new_version(self, shares: list[float]) -> None:
        self.newest += 1
        self._do(moves.deploy(self.variants, "m", self.newest, ME))
        rules = RolloutSpec(canary=tuple(sorted(set(shares))))
        self._do(moves.begin(self.variants, "m", self.newest, rules, ME))

    @rule(version=st.integers(min_value=1, max_value=6))
    def old_version(self, version: int) -> None:
        if version <= self.newest:
            self._do(moves.deploy(self.variants, "m", version, ME))
            self._do(moves.begin(self.variants, "m", version, canary([0.5]), ME))

    @rule()
    def back(self) -> None:
        try:
            self._do(moves.rollback(self.variants, "m", ME))
        except UsageError:
            return

    @rule(data=st.data())
    def one_of_them(self, data: st.DataObject) -> None:
        if self.variants:
            versions = st.sampled_from([item.version for item in self.variants])
            self._do(moves.promote(self.variants, "m", data.draw(versions), ME))

    @rule(data=st.data())
    def divided(self, data: st.DataObject) -> None:
        weights = {
            item.version: data.draw(st.floats(min_value=0.1, max_value=10))
            for item in self.variants
        }
        if weights:
            self._do(moves.split(self.variants, "m", weights, ME))

    @invariant()
    def weights_are_shares(self) -> None:
        assert not self.variants or abs(sum(item.weight for item in self.variants) - 1) < 1e-9

    @invariant()
    def there_is_one_champion(self) -> None:
        roles = [item.role for item in self.variants]
        assert not roles or roles.count("champion") == 1

    @invariant()
    def what_is_warm_has_no_traffic(self) -> None:
        assert all(item.weight == 0 for item in self.variants if item.role == "warm")

    @invariant()
    def versions_are_unique_and_few(self) -> None:
        versions = [item.version for item in self.variants]
        assert len(set(versions)) == len(versions) <= 4


TestAnyMoves = AnyMoves.TestCase


@given(st.dictionaries(st.integers(1, 5), st.floats(0.001, 1e6), min_size=1, max_size=5))
def test_a_split_keeps_the_proportions(weights: dict[int, float]) -> None:
    now = [variant(number, 0, "challenger") for number in range(1, 6)]
    move = moves.split(now, "m", weights, ME)
    assert move is not None
    total = sum(weights.values())
    for item in move.variants:
        assert item.weight == pytest.approx(weights.get(item.version, 0) / total)
