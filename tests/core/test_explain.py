"""Where an answer came from: every place that knows something is asked, and none must."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from modelyard import runs
from modelyard.cli.app import build_app
from modelyard.errors import TrackingError
from modelyard.explain import UnknownPredictionError, explain, explained, input_hash
from modelyard.settings import Settings, get_settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.store.records import Label, LedgerEntry, PredictionRecord, ShadowRecord, Variant
from modelyard.tracking.lineage import Origin
from modelyard.workspace import Workspace
from tests.tracking.samples import spec

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODEL = "flowers"
ORIGIN = Origin(
    version=2,
    registered=AT - 9 * HOUR,
    run="run-2",
    mlflow_run="ab" * 16,
    experiment="7",
    spec_hash="5" * 64,
    data_revision="work tree",
    content_hash="d" * 32,
    data_hash="7" * 64,
    weights_hash="3" * 64,
    git_commit="c" * 40,
    git_dirty=False,
    environment_hash="9" * 64,
)


def moved(identity: str, after: dict[str, float], action: str, at: datetime) -> LedgerEntry:
    fields = {"model": MODEL, "before": {}, "reason": "why", "by": "steward"}
    return LedgerEntry.model_validate(
        {"id": identity, "after": after, "action": action, "at": at, **fields}
    )


def prediction(identity: str, **changes: object) -> PredictionRecord:
    fields: dict[str, object] = {
        "id": identity,
        "at": AT,
        "model": MODEL,
        "version": 2,
        "request": "r1",
        "inputs": {"width": 1.5, "colour": "red"},
        "outputs": {"kind": "rose"},
        "probability": {"kind": 0.75},
        "latency_ms": 1.5,
        "phase": "second",
        "client": "shop",
    }
    return PredictionRecord.model_validate({**fields, **changes})


def alert(identity: str, onset: datetime, ended: datetime | None, version: int = 2) -> AlertRecord:
    fields = {"model": MODEL, "kind": "drift", "subject": identity, "level": "critical"}
    more = {"worst": "critical", "value": 0.3, "peak": 0.3, "windows": (), "reason": "far"}
    return AlertRecord.model_validate(
        {"id": identity, "version": version, "onset": onset, "ended": ended, **fields, **more}
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        project=tmp_path,
        MODELYARD_HOME=tmp_path / "home",
        MODELYARD_TRACKING_URI="http://127.0.0.1:5000/",
        airflow_url="http://127.0.0.1:8080/",
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.database_url) as opened:
        champion = Variant(model=MODEL, version=1, weight=1, role="champion")
        opened.move(MODEL, [champion], moved("first", {"1": 1}, "promote", AT - 3 * HOUR))
        challenger = Variant(model=MODEL, version=2, weight=0.25, role="challenger")
        canary = moved("second", {"1": 0.75, "2": 0.25}, "canary", AT - HOUR)
        opened.move(MODEL, [champion, challenger], canary)
        opened.move(MODEL, [challenger], moved("third", {"2": 1}, "promote", AT + HOUR))
        opened.log_predictions([prediction("p1")])
        yield opened


def known(_model: str, _version: int) -> Origin:
    return ORIGIN


def test_an_explanation_says_what_every_place_knows(settings: Settings, store: Store) -> None:
    answer = {"model": MODEL, "phase": "second", "outputs": {"kind": "lily"}, "probability": {}}
    store.log_shadows(
        [ShadowRecord(prediction="p1", version=3, at=AT, latency_ms=2, agrees=False, **answer)]
    )
    store.save_labels(MODEL, [Label(prediction="p1", output="kind", value="lily", by="florist")])
    found = explained(settings, store, "p1", known)
    assert (found.model, found.version, found.client, found.request) == (MODEL, 2, "shop", "r1")
    assert (found.role, found.share) == ("challenger", 0.25)
    assert found.phase is not None
    assert found.phase.id == "second"
    assert [(one.value, one.wrong, one.by) for one in found.labels] == [("lily", True, "florist")]
    assert [(one.version, one.outputs) for one in found.shadows] == [(3, {"kind": "lily"})]
    assert (found.origin, found.run) == (ORIGIN, "run-2")
    assert found.links == {
        "mlflow_run": f"http://127.0.0.1:5000/#/experiments/7/runs/{'ab' * 16}",
        "mlflow_version": "http://127.0.0.1:5000/#/models/flowers/versions/2",
    }
    assert json.loads(found.model_dump_json())["input_hash"] == found.input_hash


@pytest.mark.parametrize(
    ("phase", "version", "role", "share"),
    [
        ("first", 1, "champion", 1.0),
        ("first", 2, "other", 0.0),
        ("second", 1, "champion", 0.75),
        ("second", 2, "challenger", 0.25),
        ("third", 2, "champion", 1.0),
        ("third", 1, "other", 0.0),
        ("forgotten", 1, None, None),
        (None, 1, None, None),
    ],
)
def test_the_role_is_the_one_of_that_time(  # noqa: PLR0913, PLR0917 - what it depends on
    settings: Settings,
    store: Store,
    phase: str | None,
    version: int,
    role: str | None,
    share: float | None,
) -> None:
    store.log_predictions([prediction("p2", phase=phase, version=version)])
    found = explained(settings, store, "p2", known)
    assert (found.role, found.share) == (role, share)
    assert any(line.startswith("role:") for line in found.missing) == (role is None)


def test_alerts_are_those_that_held_when_it_was_answered(settings: Settings, store: Store) -> None:
    alerts = [
        alert("before", AT - 3 * HOUR, AT - HOUR),
        alert("ended then", AT - 2 * HOUR, AT),
        alert("open", AT - HOUR, None),
        alert("began then", AT, AT + HOUR),
        alert("after", AT + HOUR, None),
        alert("other version", AT - HOUR, None, version=1),
    ]
    store.change_alerts(MODEL, lambda _open: (alerts, []))
    found = explained(settings, store, "p1", known)
    assert [one.id for one in found.alerts] == ["ended then", "open", "began then"]


def test_the_dag_run_is_read_from_the_runs_folder(settings: Settings, store: Store) -> None:
    airflow = "manual__2026-11-21T09:00:00+00:00"
    scheduled_as = f"train_flowers/{airflow}"
    runs.begin(spec(), "run-2", Workspace(settings), scheduled_as=scheduled_as)
    found = explained(settings, store, "p1", known)
    assert found.dag_run is not None
    assert (found.dag_run.dag, found.dag_run.run) == ("train_flowers", airflow)
    page = "dags/train_flowers/runs/manual__2026-11-21T09%3A00%3A00%2B00%3A00"
    assert found.links["dag_run"] == f"http://127.0.0.1:8080/{page}"
    assert found.missing == ()


def test_a_version_that_an_alert_started_names_it(settings: Settings, store: Store) -> None:
    asked = RetrainingRecord(model=MODEL, alert="a1", reason="width drifted", asked=AT)
    store.ask_retraining(asked, cooled=AT, budget=(AT, 4))
    assert explained(settings, store, "p1", known).retraining is None
    store.save_retraining(asked.model_copy(update={"status": "done", "version": 2}))
    found = explained(settings, store, "p1", known).retraining
    assert found is not None
    assert (found.alert, found.reason) == ("a1", "width drifted")


def test_a_run_from_the_command_line_has_no_dag_run(settings: Settings, store: Store) -> None:
    runs.begin(spec(), "run-2", Workspace(settings))
    found = explained(settings, store, "p1", known)
    assert (found.dag_run, found.missing) == (None, ())


def test_what_cannot_be_reached_is_told_and_is_no_error(settings: Settings, store: Store) -> None:
    def away(_model: str, _version: int) -> Origin:
        message = "MLflow cannot be reached"
        raise TrackingError(message)

    found = explained(settings, store, "p1", away)
    assert found.origin is None
    assert found.missing == ("origin: MLflow cannot be reached",)
    gone = explained(settings, store, "p1", lambda _model, _version: None)
    assert gone.missing == ("origin: MLflow has no version 2 of flowers",)


@pytest.mark.parametrize("identity", ["p9", "", "x" * 256, "p1\x00"])
def test_an_unknown_prediction_is_refused(settings: Settings, identity: str) -> None:
    with pytest.raises(UnknownPredictionError, match="there is no prediction"):
        explain(settings, identity)


@given(
    inputs=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.floats(allow_nan=False) | st.booleans(),
    )
)
def test_equal_inputs_have_equal_hashes_in_any_order(inputs: dict[str, float]) -> None:
    turned = dict(reversed(inputs.items()))
    assert input_hash(turned) == input_hash(inputs)
    assert input_hash({**inputs, "one more": 1}) != input_hash(inputs)


def test_the_hash_is_the_one_that_is_described() -> None:
    canonical = b'{"a":1,"b":"x"}'
    import hashlib

    assert input_hash({"b": "x", "a": 1}) == hashlib.sha256(canonical).hexdigest()


@pytest.fixture
def at_home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MODELYARD_HOME", str(settings.home))
    monkeypatch.setenv("MODELYARD_TRACKING_URI", f"sqlite:///{settings.home}/none.db")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("at_home", "store")
def test_the_command_tells_people_and_scripts() -> None:
    told = CliRunner().invoke(build_app(), ["explain", "p1"])
    assert told.exit_code == 0
    for words in ("rose (75.0%)", "challenger, 25% of traffic", "shop", "MLflow has no version 2"):
        assert words in told.stdout
    written = CliRunner().invoke(build_app(), ["explain", "p1", "--json"])
    assert json.loads(written.stdout)["version"] == 2


@pytest.mark.usefixtures("at_home", "store")
def test_the_command_refuses_an_unknown_id_with_one_line() -> None:
    refused = CliRunner().invoke(build_app(), ["explain", "p9"])
    assert isinstance(refused.exception, UnknownPredictionError)
    assert refused.exception.exit_code == 1
    assert "\n" not in str(refused.exception)
