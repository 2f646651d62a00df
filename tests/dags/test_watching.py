"""The DAG `monitoring`, with looks that answer at once, against the real database."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from modelyard.errors import MonitoringError, StoreError
from modelyard.settings import get_settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertEvent, AlertRecord, DriftCheck, Verdict
from modelyard.store.records import LedgerEntry, Variant
from modelyard.watch import Watched

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's own reading of .airflowignore, and its in-process API
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
AT = datetime(2026, 11, 1, tzinfo=UTC)
SPEC = "monitor: {retrain_on: critical}\n"


@pytest.fixture
def trigger(bag: Callable[[], object]) -> Callable[..., object]:
    def run(dag_id: str, **conf: object) -> object:
        return bag().dags[dag_id].test(run_conf=conf)

    return run


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store(get_settings().database_url) as opened:
        yield opened


def serve(store: Store, model: str) -> None:
    entry = LedgerEntry(
        model=model, action="deploy", before={}, after={"1": 1.0}, reason="test", by="test"
    )
    store.move(model, [Variant(model=model, version=1, weight=1, role="champion")], entry)


def alert_of(model: str) -> AlertRecord:
    return AlertRecord(
        id=f"alert-{model}",
        model=model,
        version=1,
        kind="drift",
        subject="age",
        level="critical",
        worst="critical",
        value=0.3,
        peak=0.3,
        windows=("1000",),
        reason="age drifted",
        onset=AT,
    )


def open_alert(store: Store, model: str, *, deliver: bool = False) -> AlertRecord:
    alert = alert_of(model)
    event = AlertEvent(
        alert=alert.id, model=model, change="opened", level=alert.level, deliver=deliver
    )
    store.change_alerts(model, lambda _: ([alert], [event]))
    return alert


def drift_of(model: str) -> SimpleNamespace:
    verdict = Verdict(
        column="age",
        kind="number",
        test="ks",
        statistic=0.5,
        p_value=0.0,
        p_adjusted=0.0,
        effect=0.5,
        effect_name="KS distance",
        drifted=True,
        reference_rows=100,
        live_rows=100,
        reference_missing=0,
        live_missing=0,
    )
    check = DriftCheck(
        model=model,
        version=1,
        window="1000",
        rows=100,
        first_at=AT,
        last_at=AT,
        reference_rows=100,
        alpha=0.05,
        correction="bonferroni",
        min_effect=0.1,
        drifted=True,
        verdicts=(verdict,),
    )
    return SimpleNamespace(check=check)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch, store: Store) -> dict[str, object]:
    """What each model's look finds: an alert, drift, or an error; and what was looked at."""
    found: dict[str, object] = {"seen": []}

    def watch_model(_settings: object, name: str, *, windows: object, run: str) -> Watched:
        assert run
        found["seen"].append((name, windows))
        result = found.get(name)
        if isinstance(result, Exception):
            raise result
        alert = result if isinstance(result, AlertRecord) else None
        reports = (drift_of(name),) if result == "drift" else ()
        return Watched(name, reports, (), (), () if alert is None else (alert,), alert, ())

    monkeypatch.setattr("modelyard.watch.watch_model", watch_model)
    monkeypatch.setattr(
        "modelyard.delivery.deliver", lambda _: store.alert_events(waiting=True), raising=False
    )
    return found


@pytest.fixture
def alerted(store: Store, looks: dict[str, object]) -> None:
    """A model is served, and people are to be told of its alert."""
    serve(store, "toy")
    looks["toy"] = open_alert(store, "toy", deliver=True)


def states(dag_run: object) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def events(run: object) -> dict[str, list[dict[str, object]]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    told: dict[str, list[dict[str, object]]] = {}
    with create_session() as session:
        query = select(AssetEvent).where(AssetEvent.source_run_id == run.run_id)
        for event in session.scalars(query):
            told.setdefault(event.uri, []).append(event.extra)
    return told


def test_a_served_model_is_watched_without_another_click(bag: Callable[[], object]) -> None:
    dag = bag().dags["monitoring"]
    assert dag.is_paused_upon_creation is None
    assert dag.schedule == "@hourly"
    assert dag.max_active_runs == 1


@pytest.mark.parametrize(
    ("said", "schedule"),
    [
        pytest.param("*/10 * * * *", "*/10 * * * *", id="cron"),
        pytest.param("@daily", "@daily", id="preset"),
        pytest.param("90m", timedelta(minutes=90), id="time"),
    ],
)
def test_how_often_is_a_setting(
    bag: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    schedule: str | timedelta,
) -> None:
    monkeypatch.setenv("MODELYARD_WATCH_SCHEDULE", said)
    assert bag().dags["monitoring"].schedule == schedule


def test_with_nothing_served_there_is_nothing_to_watch(trigger: Callable[..., object]) -> None:
    done = trigger("monitoring")
    assert str(done.state) == "success"
    assert states(done)["watch"] == "skipped"


def test_every_model_is_watched_by_one_task_in_the_windows_of_its_spec(
    trigger: Callable[..., object], store: Store, looks: dict[str, object]
) -> None:
    for model in ("b-model", "a-model"):
        serve(store, model)
    done = trigger("monitoring")
    assert looks["seen"] == [("a-model", None), ("b-model", None)]
    assert states(done) == {"watch": "success", "deliver": "skipped", "retrain": "skipped"}


@pytest.mark.parametrize(
    ("form", "seen"),
    [
        pytest.param({"model": "a-model"}, [("a-model", None)], id="model"),
        pytest.param({"model": "a-model", "window": "500"}, [("a-model", [500])], id="number"),
        pytest.param({"model": "a-model", "window": "24h"}, [("a-model", ["24h"])], id="time"),
    ],
)
def test_the_form_narrows_what_is_looked_at(
    trigger: Callable[..., object],
    store: Store,
    looks: dict[str, object],
    form: dict[str, str],
    seen: Sequence[object],
) -> None:
    for model in ("b-model", "a-model"):
        serve(store, model)
    trigger("monitoring", **form)
    assert looks["seen"] == seen


def test_the_form_refuses_what_is_no_window(bag: Callable[[], object]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = bag().dags["monitoring"].params
    with pytest.raises(ParamValidationError):
        params["window"] = "yesterday"


def test_drift_is_an_event_for_other_dags(
    trigger: Callable[..., object], store: Store, looks: dict[str, object]
) -> None:
    serve(store, "a-model")
    looks["a-model"] = "drift"
    (extra,) = events(trigger("monitoring"))["modelyard://drift/a-model"]
    assert extra["drifted"] == ["age"]
    assert extra["versions"] == [1]


def test_an_alert_becomes_one_event_with_all_that_a_training_needs(
    trigger: Callable[..., object],
    store: Store,
    looks: dict[str, object],
    write_spec: Callable[..., object],
) -> None:
    write_spec("toy", more=SPEC)
    serve(store, "toy")
    looks["toy"] = open_alert(store, "toy")
    first, second = trigger("monitoring"), trigger("monitoring")
    (record,) = store.retrainings("toy")
    assert events(first)["modelyard://retrain/toy"] == [
        {"model": "toy", "retraining": record.id, "alert": "alert-toy", "revision": None}
    ]
    assert states(second)["retrain"] == "success"
    assert "modelyard://retrain/toy" not in events(second)


@pytest.mark.parametrize(
    ("addresses", "state"),
    [
        pytest.param("json://127.0.0.1:9/", "success", id="told"),
        pytest.param("", "skipped", id="nobody"),
    ],
)
@pytest.mark.usefixtures("alerted")
def test_what_waits_is_delivered_where_somebody_wants_to_know(
    trigger: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    addresses: str,
    state: str,
) -> None:
    monkeypatch.setenv("MODELYARD_NOTIFY", addresses)
    assert states(trigger("monitoring"))["deliver"] == state


def test_a_model_that_cannot_be_looked_at_keeps_no_other_from_its_turn(
    trigger: Callable[..., object],
    store: Store,
    looks: dict[str, object],
    write_spec: Callable[..., object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_spec("z-model", more=SPEC)
    for model in ("a-model", "m-model", "z-model"):
        serve(store, model)
    looks["a-model"] = MonitoringError("nothing of a-model is served")
    looks["m-model"] = MonitoringError("m-model is as it should be")
    looks["z-model"] = open_alert(store, "z-model")
    with caplog.at_level(logging.INFO, logger="modelyard_dags"):
        done = trigger("monitoring")
    assert [name for name, _ in looks["seen"]] == ["a-model", "m-model", "z-model"]
    assert states(done)["watch"] == "success"
    assert len(store.retrainings("z-model")) == 1
    assert "nothing of a-model is served" in caplog.text


def test_the_first_failure_that_may_pass_is_raised_when_all_had_their_turn() -> None:
    from modelyard_dags.watching import _each

    turns = []

    def act(model: str) -> None:
        turns.append(model)
        if model == "a":
            message = "never"
            raise MonitoringError(message)
        if model == "b":
            message = "the database is locked"
            raise StoreError(message)

    with pytest.raises(StoreError, match="locked"):
        _each("abc", act)
    assert turns == ["a", "b", "c"]
