"""Who was champion follows from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.rollout import moves
from modelyard.rollout.moves import Author, Move
from modelyard.rollout.reigns import reigns
from modelyard.spec.serve import RolloutSpec
from modelyard.store.records import LedgerEntry, Variant

ME = Author("me")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Line:
    """The variants of a model and its ledger, without a database."""

    def __init__(self) -> None:
        self.variants: tuple[Variant, ...] = ()
        self.entries: list[LedgerEntry] = []

    def apply(self, move: Move | None) -> None:
        if move is not None:
            at = START + timedelta(hours=len(self.entries))
            self.variants = move.variants
            self.entries.insert(0, move.entry.model_copy(update={"at": at}))

    def deploy(self, version: int, canary: list[float] | None = None) -> None:
        self.apply(moves.deploy(self.variants, "m", version, ME))
        rules = RolloutSpec(canary=tuple(canary or ()))
        self.apply(moves.begin(self.variants, "m", version, rules, ME))

    def promote(self, version: int) -> None:
        self.apply(moves.promote(self.variants, "m", version, ME))

    def rollback(self) -> None:
        self.apply(moves.rollback(self.variants, "m", ME))


def test_champions_follow_each_other() -> None:
    line = Line()
    line.deploy(1)
    line.deploy(2, [0.1])
    line.promote(2)
    line.rollback()
    found = reigns(line.entries)
    assert [reign.version for reign in found] == [1, 2, 1]
    assert found[0].until is None
    assert [reign.until for reign in found[1:]] == [reign.since for reign in found[:-1]]
    assert found[0].reason == "back to version 1"
    assert {reign.by for reign in found} == {"me"}


def test_a_challenger_that_goes_again_changes_nothing() -> None:
    line = Line()
    line.deploy(1)
    line.deploy(2, [0.5])
    line.rollback()
    assert [reign.version for reign in reigns(line.entries)] == [1]


def test_without_a_ledger_nobody_was_champion() -> None:
    assert reigns([]) == []


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["deploy", "canary", "promote", "back"]), st.integers(1, 4)))
)
def test_the_last_reign_is_the_champion_of_the_variants(steps: list[tuple[str, int]]) -> None:
    line = Line()
    for action, version in steps:
        known = {item.version for item in line.variants}
        if action == "deploy":
            line.deploy(version)
        elif action == "canary":
            line.deploy(version, [0.2])
        elif action == "promote" and version in known:
            line.promote(version)
        elif action == "back" and len(known) > 1:
            line.rollback()
    champion = next((item.version for item in line.variants if item.role == "champion"), None)
    found = reigns(line.entries)
    assert (found[0].version if found else None) == champion
    assert all(one.version != other.version for one, other in pairwise(found))
