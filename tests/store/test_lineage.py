"""What is found of one prediction, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from modelyard.store.database import Store
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.store.records import Label, LedgerEntry, PredictionRecord, ShadowRecord, now

type Make = Callable[..., PredictionRecord]
MODEL = "digits-cnn"
HOUR = timedelta(hours=1)


def test_the_ledger_is_read_up_to_a_row_and_of_its_model_only(store: Store) -> None:
    for number in range(4):
        for model in (MODEL, "other"):
            fields = {"id": f"{model}-{number}", "model": model, "action": "split", "by": "me"}
            entry = LedgerEntry.model_validate(
                {**fields, "before": {}, "after": {}, "reason": "why", "at": now()}
            )
            store.move(model, [], entry)
    found = store.ledger_until(f"{MODEL}-2")
    assert [one.id for one in found] == [f"{MODEL}-{number}" for number in (2, 1, 0)]
    assert store.ledger_until("forgotten") == []


def test_labels_and_unseen_answers_of_a_prediction_are_found(store: Store, record: Make) -> None:
    store.log_predictions([record(1), record(2)])
    said = {"model": MODEL, "phase": "", "outputs": {}, "probability": {}, "latency_ms": 1}
    shadows = [
        ShadowRecord.model_validate(
            {"prediction": record(1).id, "version": version, "at": now(), "agrees": None, **said}
        )
        for version in (3, 2)
    ]
    store.log_shadows(shadows)
    labels = [Label(prediction=record(1).id, output=name, value=1) for name in ("size", "label")]
    store.save_labels(MODEL, labels)
    assert [one.version for one in store.shadows_of(record(1).id)] == [2, 3]
    assert [one.output for one in store.labels_of(record(1).id)] == ["label", "size"]
    assert store.shadows_of(record(2).id) == store.labels_of(record(2).id) == []


def test_alerts_that_held_at_a_moment_are_found(store: Store) -> None:
    at = now()
    fields = {"model": MODEL, "kind": "drift", "level": "warning", "worst": "warning", "value": 1}
    more = {"peak": 1, "windows": (), "reason": "far"}
    alerts = [
        AlertRecord.model_validate(
            {"subject": name, "version": 1, "onset": onset, "ended": ended, **fields, **more}
        )
        for name, onset, ended in (
            ("over", at - 2 * HOUR, at - HOUR),
            ("held", at - 2 * HOUR, at + HOUR),
            ("open", at - HOUR, None),
            ("later", at + HOUR, None),
        )
    ]
    store.change_alerts(MODEL, lambda _open: (alerts, []))
    assert [one.subject for one in store.alerts_at(MODEL, 1, at)] == ["held", "open"]
    assert store.alerts_at(MODEL, 2, at) == []


def test_the_retraining_of_a_version_is_found(store: Store) -> None:
    asked = RetrainingRecord(model=MODEL, alert="a", version=2, status="done")
    store.ask_retraining(asked, cooled=asked.asked, budget=(asked.asked, 1))
    found = store.retraining_of(MODEL, 2)
    assert found is not None
    assert found.alert == "a"
    assert store.retraining_of(MODEL, 3) is None
