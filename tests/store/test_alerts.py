"""Alerts, their changes and retrainings are kept once, whoever writes them at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from modelyard.errors import StoreError
from modelyard.store.database import Store
from modelyard.store.monitoring import Changes
from modelyard.store.monitoring_records import (
    AlertEvent,
    AlertRecord,
    MetricVerdict,
    PerformanceCheck,
    RetrainingRecord,
)
from modelyard.store.records import now

MOMENT = datetime(2026, 11, 1, tzinfo=UTC)
MODEL = "m"


def alert(identity: str = "a1", **changes: object) -> AlertRecord:
    fields: dict[str, object] = {
        "id": identity,
        "model": MODEL,
        "version": 1,
        "kind": "drift",
        "subject": "age",
        "level": "warning",
        "worst": "warning",
        "value": 0.2,
        "peak": 0.2,
        "windows": ("1000",),
        "reason": "age drifted",
        "onset": MOMENT,
        "opened": MOMENT,
        "seen": MOMENT,
    }
    return AlertRecord.model_validate({**fields, **changes})


def opened(one: AlertRecord, **changes: object) -> AlertEvent:
    fields: dict[str, object] = {
        "id": f"opened-{one.id}",
        "alert": one.id,
        "model": one.model,
        "at": one.opened,
        "change": "opened",
        "level": one.level,
    }
    return AlertEvent.model_validate({**fields, **changes})


def put(store: Store, *alerts: AlertRecord, deliver: bool = False) -> None:
    def decide(_known: Sequence[AlertRecord]) -> Changes:
        return alerts, [opened(one, deliver=deliver) for one in alerts]

    store.change_alerts(MODEL, decide)


def test_open_alerts_come_first_then_the_newest(store: Store) -> None:
    ended = alert("a1", ended=MOMENT, opened=MOMENT + timedelta(hours=5))
    older, newer = alert("a2"), alert("a3", subject="height", opened=MOMENT + timedelta(hours=1))
    put(store, ended, older, newer)
    assert store.alerts(MODEL) == [newer, older, ended]
    assert store.alerts(open_only=True) == [newer, older]
    assert store.alerts("other") == []


def test_one_thing_has_one_open_alert(store: Store) -> None:
    put(store, alert("a1"))
    with pytest.raises(StoreError):
        put(store, alert("a2"))
    put(store, alert("a1", ended=MOMENT))
    put(store, alert("a2"))
    assert [one.id for one in store.alerts(MODEL, open_only=True)] == ["a2"]


def test_two_watchers_at_once_see_each_others_alerts(store: Store) -> None:
    def watch(number: int) -> None:
        def decide(known: Sequence[AlertRecord]) -> Changes:
            one = known[0] if known else alert(f"a{number}", peak=0.0)
            return [one.model_copy(update={"peak": one.peak + 1})], []

        store.change_alerts(MODEL, decide)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(watch, range(12)))
    (only,) = store.alerts(MODEL)
    assert only.peak == 12


def test_what_is_to_be_delivered_waits_until_it_is(store: Store) -> None:
    put(store, alert(), deliver=True)
    (waiting,) = store.alert_events(waiting=True)
    store.mark_delivery(waiting.id, "refused")
    (tried,) = store.alert_events(waiting=True)
    assert (tried.tries, tried.error, tried.delivered) == (1, "refused", None)
    store.mark_delivery(waiting.id)
    assert store.alert_events(waiting=True) == []
    (done,) = store.alert_events(alert="a1")
    assert (done.tries, done.error) == (2, None)
    assert done.delivered is not None


def test_a_person_acknowledges_an_alert(store: Store) -> None:
    put(store, alert())
    known = store.acknowledge("a1", "ann", "looking")
    assert known is not None
    assert (known.acknowledged_by, known.comment) == ("ann", "looking")
    assert [event.change for event in store.alert_events(alert="a1")] == ["opened", "acknowledged"]
    assert store.acknowledge("nothing", "ann") is None


def test_an_alert_starts_one_retraining_within_cooldown_and_budget(store: Store) -> None:
    def ask(number: int, *, cooled: float = 0, most: int = 9) -> str:
        moment = now()
        wanted = RetrainingRecord(id=f"r{number}", model=MODEL, alert=f"a{number}", asked=moment)
        since = moment - timedelta(days=30)
        return store.ask_retraining(
            wanted, cooled=moment - timedelta(hours=cooled), budget=(since, most)
        )

    assert ask(1) == "asked"
    assert ask(1) == "repeated"
    assert ask(2, cooled=1) == "cooling"
    assert ask(2, most=1) == "spent"
    assert ask(2) == "asked"
    assert [one.alert for one in store.retrainings(MODEL)] == ["a2", "a1"]


def test_a_retraining_is_asked_once_by_many_at_a_time(store: Store) -> None:
    def ask(number: int) -> str:
        wanted = RetrainingRecord(id=f"r{number}", model=MODEL, alert="a1")
        return store.ask_retraining(wanted, cooled=now(), budget=(MOMENT, 9))

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(ask, range(6)))
    assert answers == ["asked", *["repeated"] * 5]


def test_performance_comes_back_newest_first(store: Store) -> None:
    metric = MetricVerdict(output="y", metric="accuracy", watched=True, rows=90, value=0.9)
    older, newer = (
        PerformanceCheck(
            id=f"p{hour}",
            at=MOMENT + timedelta(hours=hour),
            model=MODEL,
            version=hour,
            window="all",
            rows=100,
            labelled=90,
            first_at=MOMENT,
            last_at=MOMENT,
            alpha=0.05,
            metrics=(metric,),
        )
        for hour in (1, 2)
    )
    store.save_performance(newer)
    store.save_performance(older)
    store.save_performance(older.model_copy(update={"rows": 1}))
    assert store.performance(MODEL) == [newer, older]
    assert store.performance(MODEL, version=1) == [older]
