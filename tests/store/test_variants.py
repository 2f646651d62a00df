"""A move of traffic and its ledger entry are one step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from modelyard.errors import StoreError
from modelyard.store.database import Store
from modelyard.store.records import LedgerEntry, Role, Variant


def variant(version: int, weight: float, role: Role = "challenger", model: str = "m") -> Variant:
    return Variant(model=model, version=version, weight=weight, role=role)


def entry(after: Sequence[Variant], identity: str = "e1", model: str = "m") -> LedgerEntry:
    weights = {str(one.version): one.weight for one in after}
    return LedgerEntry(
        id=identity, model=model, action="split", before={}, after=weights, reason="", by="test"
    )


def test_a_move_replaces_the_variants_and_is_in_the_ledger(store: Store) -> None:
    first, second = [variant(1, 1.0, "champion")], [variant(1, 0.0, "warm"), variant(2, 1.0)]
    entries = [entry(first, "e1"), entry(second, "e2")]
    store.move("m", first, entries[0])
    store.move("m", second, entries[1])
    assert store.variants("m") == second
    assert store.ledger("m", 10) == entries[::-1]


def test_other_models_stay(store: Store) -> None:
    store.move("m", [variant(1, 1.0)], entry([]))
    other = variant(1, 1.0, model="n")
    store.move("n", [other], entry([], "e2", model="n"))
    store.move("m", [], entry([], "e3"))
    assert store.variants() == [other]


def test_a_move_that_is_retried_is_done_once(store: Store) -> None:
    store.move("m", [variant(1, 1.0)], entry([], "same"))
    store.move("m", [variant(2, 1.0)], entry([], "other"))
    store.move("m", [variant(1, 1.0)], entry([], "same"))
    assert store.variants("m") == [variant(2, 1.0)]
    assert len(store.ledger("m", 10)) == 2


def test_a_refused_move_leaves_no_trace(store: Store) -> None:
    store.move("m", [variant(1, 1.0, "champion")], entry([]))
    two = [variant(1, 0.5, "champion"), variant(2, 0.5, "champion")]
    with pytest.raises(StoreError):
        store.move("m", two, entry(two, "e2"))
    assert store.variants("m") == [variant(1, 1.0, "champion")]
    assert len(store.ledger("m", 10)) == 1


def test_a_move_of_one_model_cannot_change_another(store: Store) -> None:
    with pytest.raises(StoreError, match="a move of m cannot change n"):
        store.move("m", [variant(1, 1.0, model="n")], entry([]))


def test_moves_at_once_leave_one_of_them_whole(store: Store) -> None:
    def move(number: int) -> None:
        variants = [variant(number, 0.5), variant(number + 100, 0.5, "champion")]
        store.move("m", variants, entry(variants, f"e{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(move, range(16)))
    (last, *others) = store.ledger("m", 100)
    assert len(others) == 15
    assert {str(one.version): one.weight for one in store.variants("m")} == last.after


def test_the_ledger_is_limited_to_the_newest(store: Store) -> None:
    for number in range(5):
        store.move("m", [], entry([], f"e{number}"))
    assert [one.id for one in store.ledger("m", 2)] == ["e4", "e3"]


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_no_share_is_refused(weight: float) -> None:
    with pytest.raises(ValidationError):
        variant(1, weight)
