"""A rollout is written with the move that it made, and a model has at most one under way."""

from __future__ import annotations

import pytest

from modelyard.errors import StoreError
from modelyard.store.database import Store
from modelyard.store.records import LedgerEntry, RolloutRecord, Variant


def rollout(identity: str = "r1", **changes: object) -> RolloutRecord:
    fields: dict[str, object] = {
        "id": identity,
        "model": "m",
        "version": 2,
        "status": "shadow",
        "phase": "e1",
        "policy": {"canary": [0.05, 0.5]},
        "by": "test",
    }
    return RolloutRecord.model_validate({**fields, **changes})


def entry(identity: str, model: str = "m", **changes: object) -> LedgerEntry:
    fields = {"before": {}, "after": {}, "reason": "", "by": "test", "action": "deploy"}
    return LedgerEntry.model_validate({"id": identity, "model": model, **fields, **changes})


def test_a_move_writes_its_rollout(store: Store) -> None:
    placed = Variant(model="m", version=2, weight=0, role="challenger", shadow=0.25, experiment="x")
    begun = rollout(slow_ms=12.5, run="run-1")
    store.move("m", [placed], entry("e1", evidence={"errors": {"trials": 3}}), begun)
    assert store.rollout("m") == begun
    assert store.variants("m") == [placed]
    assert store.ledger("m")[0].evidence == {"errors": {"trials": 3}}


def test_a_retried_move_does_not_put_its_rollout_back(store: Store) -> None:
    store.move("m", [], entry("e1"), rollout())
    store.save_rollout(rollout(status="promoted"))
    store.move("m", [], entry("e1"), rollout())
    assert store.rollout("m") is None
    assert [one.status for one in store.rollouts("m")] == ["promoted"]


def test_a_second_rollout_waits_for_the_end_of_the_first(store: Store) -> None:
    store.save_rollout(rollout("r1", status="canary"))
    with pytest.raises(StoreError):
        store.move("m", [], entry("e1"), rollout("r2", status="waiting"))
    assert store.ledger("m") == []
    store.save_rollout(rollout("r1", status="rolled_back"))
    store.save_rollout(rollout("r2"))
    assert store.rollout("m") == rollout("r2", **_times(store, "r2"))


def _times(store: Store, identity: str) -> dict[str, object]:
    found = next(one for one in store.rollouts("m") if one.id == identity)
    return {"started": found.started, "changed": found.changed}


def test_each_model_has_its_own(store: Store) -> None:
    store.save_rollout(rollout("r1"))
    store.save_rollout(rollout("r2", model="n"))
    assert {one.model for one in store.rollouts()} == {"m", "n"}
    assert store.rollout("n") is not None
    assert store.rollout("other") is None


def test_a_move_cannot_write_the_rollout_of_another_model(store: Store) -> None:
    with pytest.raises(StoreError, match="a move of m cannot change n"):
        store.move("m", [], entry("e1"), rollout(model="n"))


def test_the_phase_is_the_newest_ledger_row_of_each_model(store: Store) -> None:
    for identity, model in (("e1", "m"), ("e2", "n"), ("e3", "m")):
        store.move(model, [], entry(identity, model))
    assert store.phases() == {"m": "e3", "n": "e2"}
