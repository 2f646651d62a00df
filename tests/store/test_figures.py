"""What a scrape reads: the newest of each window, and counts, whatever lies around them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from modelyard.store.database import Store
from modelyard.store.monitoring_records import (
    AlertEvent,
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    RetrainingRecord,
    Verdict,
)
from modelyard.store.records import PredictionRecord

type Make = Callable[..., PredictionRecord]
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODEL = "digits-cnn"


def verdict(column: str, effect: float, kind: str = "number") -> Verdict:
    fields = {"column": column, "kind": kind, "test": "KS", "statistic": 0.1, "p_value": 0.1}
    more = {"p_adjusted": 0.1, "effect": effect, "effect_name": "KS", "drifted": effect > 0.1}
    rows = {"reference_rows": 1, "live_rows": 1, "reference_missing": 0, "live_missing": 0}
    return Verdict.model_validate({**fields, **more, **rows})


def check(at: datetime, *verdicts: Verdict, **changes: object) -> DriftCheck:
    fields: dict[str, object] = {
        "model": MODEL,
        "version": 1,
        "window": "1000",
        "rows": 1000,
        "at": at,
        "first_at": at,
        "last_at": at,
        "reference_rows": 1,
        "alpha": 0.05,
        "correction": "bonferroni",
        "min_effect": 0.1,
        "drifted": False,
    }
    return DriftCheck.model_validate({**fields, "verdicts": verdicts, **changes})


def look(at: datetime, value: float, **changes: object) -> PerformanceCheck:
    metric = {"output": "label", "metric": "accuracy", "watched": True, "rows": 9, "value": value}
    fields: dict[str, object] = {
        "model": MODEL,
        "version": 1,
        "window": "1000",
        "rows": 10,
        "labelled": 9,
        "at": at,
        "first_at": at,
        "last_at": at,
        "alpha": 0.05,
    }
    metrics = [MetricVerdict.model_validate(metric)]
    return PerformanceCheck.model_validate({**fields, "metrics": metrics, **changes})


def alert(subject: str, **changes: object) -> AlertRecord:
    fields: dict[str, object] = {
        "model": MODEL,
        "version": 1,
        "kind": "drift",
        "subject": subject,
        "level": "warning",
        "worst": "warning",
        "value": 0.2,
        "peak": 0.2,
        "windows": (),
        "reason": "far",
        "onset": AT,
    }
    return AlertRecord.model_validate({**fields, **changes})


def test_the_newest_comparison_of_each_window_and_served_version_is_read(store: Store) -> None:
    for one in (
        check(AT, verdict("age", 0.5)),
        check(AT + HOUR, verdict("age", 0.3), verdict("sex", 0.0)),
        check(AT, verdict("age", 0.2), window="all"),
        check(AT + 2 * HOUR, verdict("age", 0.9), segment="sex=f"),
        check(AT + 2 * HOUR, verdict("age", 0.9), version=7),
        check(AT + 2 * HOUR, verdict("age", 0.9), model="other"),
    ):
        store.save_verdicts(one)
    found = store.last_drift({MODEL: [1, 2], "none": [1]}, columns=50)
    assert [(one.window, one.at, one.columns) for one in found] == [
        ("1000", AT + HOUR, (("age", 0.3, True), ("sex", 0.0, False))),
        ("all", AT, (("age", 0.2, True),)),
    ]


def test_so_many_columns_are_read_the_most_drifted_first(store: Store) -> None:
    verdicts = [verdict(f"x{place}", 1 - place / 100) for place in range(60)]
    store.save_verdicts(check(AT, *verdicts))
    [found] = store.last_drift({MODEL: [1]}, columns=3)
    assert [column for column, *_ in found.columns] == ["x0", "x1", "x2"]


def test_missing_values_are_a_column_of_their_own(store: Store) -> None:
    store.save_verdicts(check(AT, verdict("age", 0.3), verdict("age", 0.2, "missing")))
    [found] = store.last_drift({MODEL: [1]}, columns=50)
    assert [column for column, *_ in found.columns] == ["age", "age (missing)"]


def test_the_newest_look_at_performance_of_each_window_is_read(store: Store) -> None:
    for one in (look(AT, 0.7), look(AT + HOUR, 0.8), look(AT + HOUR, 0.9, segment="sex=f")):
        store.save_performance(one)
    [found] = store.last_performance({MODEL: [1]})
    assert (found.rows, found.labelled, found.at) == (10, 9, AT + HOUR)
    assert [metric["value"] for metric in found.metrics] == [0.8]


def test_open_alerts_are_counted_by_kind_and_level(store: Store) -> None:
    alerts = [
        alert("a"),
        alert("b"),
        alert("c", level="critical", acknowledged=AT, acknowledged_by="me"),
        alert("d", ended=AT + HOUR),
        alert("e", model="other"),
    ]
    store.change_alerts(MODEL, lambda _open: (alerts, []))
    found = {(one.kind, one.level): (one.number, one.unseen) for one in store.open_alerts([MODEL])}
    assert found == {("drift", "warning"): (2, 2), ("drift", "critical"): (1, 0)}


def test_deliveries_that_wait_are_counted_and_those_that_failed(store: Store) -> None:
    common = {"alert": "a", "model": MODEL, "change": "opened", "level": "warning"}
    events = [
        AlertEvent.model_validate({**common, "id": str(number), "deliver": number != 0})
        for number in range(4)
    ]
    assert store.undelivered() == (0, 0)
    store.change_alerts(MODEL, lambda _open: ([], events))
    store.mark_delivery("1")
    store.mark_delivery("2", "no route")
    assert store.undelivered() == (2, 1)


def test_retrainings_are_counted_by_status(store: Store) -> None:
    for number in range(3):
        asked = RetrainingRecord(model=MODEL, alert=str(number), asked=AT + number * HOUR)
        store.ask_retraining(asked, cooled=AT + 9 * HOUR, budget=(AT, 9))
    store.save_retraining(asked.model_copy(update={"status": "failed"}))
    found = [(one.status, one.number, one.last) for one in store.count_retrainings([MODEL])]
    assert sorted(found) == [("asked", 2, AT + HOUR), ("failed", 1, AT + 2 * HOUR)]


@pytest.mark.parametrize("count", [0, 3])
def test_the_last_prediction_of_each_version_is_found(
    store: Store, record: Make, count: int
) -> None:
    store.log_predictions([record(number) for number in range(count)])
    found = store.last_predictions({MODEL: [1, 2]})
    assert found == ({(MODEL, 1): record(2).at} if count else {})
