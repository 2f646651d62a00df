"""Runs that an alert started, with stages that answer at once, against the real database."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from modelyard.errors import GateRefused, Problem
from modelyard.runs import Run
from modelyard.settings import get_settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import RetrainingRecord
from modelyard.store.records import now

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's own reading of .airflowignore, and its in-process API
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SPEC = "monitor: {retrain_on: critical}\n"
REVISION = "c0ffee"


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store(get_settings().database_url) as opened:
        yield opened


@pytest.fixture
def record(store: Store) -> RetrainingRecord:
    """A retraining that was asked for, with data of its own."""
    wanted = RetrainingRecord(
        id="r1", model="toy", alert="a1", revision=REVISION, evidence={"champion": 1}
    )
    store.ask_retraining(wanted, cooled=now(), budget=(now(), 1))
    return wanted


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The runs that were made; an error under a stage's name is raised."""
    seen: dict[str, object] = {"runs": {}, "errors": {}}

    def run_stage(
        stage: str, run: Run, _earlier: Mapping[str, object], _workspace: object
    ) -> dict[str, object]:
        seen["runs"][run.id] = run
        if stage in seen["errors"]:
            raise seen["errors"][stage]
        return {"key": stage, "model": run.spec.name, "version": 2}

    monkeypatch.setattr("modelyard.compute.run_stage", run_stage)
    return seen


@pytest.fixture
def trigger(
    bag: Callable[[], object], write_spec: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], object]:
    """Run the training as the event of the retraining `r1` would."""
    from modelyard_dags import retraining

    write_spec("toy", more=SPEC)

    def run(asked: str | None = "r1") -> object:
        monkeypatch.setattr(retraining, "asked_for", lambda _context: asked)
        return bag().dags["train_toy"].test()

    return run


def states(dag_run: object) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


@pytest.mark.usefixtures("record")
def test_the_run_pulls_the_data_that_was_made_and_says_why_it_is(
    trigger: Callable[..., object], stages: dict[str, object]
) -> None:
    assert str(trigger().state) == "success"
    (run,) = stages["runs"].values()
    assert run.spec.data.revision == REVISION
    assert run.because == {"alert": "a1", "retraining": "r1"}


@pytest.mark.usefixtures("record")
def test_the_retraining_follows_its_run_to_the_end(
    trigger: Callable[..., object], stages: dict[str, object], store: Store
) -> None:
    trigger()
    (found,) = store.retrainings("toy")
    assert (found.status, found.version) == ("done", 2)
    assert [found.run] == list(stages["runs"])


@pytest.mark.usefixtures("record")
def test_a_version_that_the_gate_refuses_stays_out_and_the_reason_is_kept(
    trigger: Callable[..., object], stages: dict[str, object], store: Store
) -> None:
    problem = Problem("measured 0.4", field="label.accuracy at least 0.5")
    stages["errors"]["register"] = GateRefused("toy: the gate refused the model", (problem,))
    assert states(trigger())["register"] == "failed"
    (found,) = store.retrainings("toy")
    assert (found.status, found.version) == ("failed", None)
    assert "the gate refused the model" in found.reason
    assert "measured 0.4" in found.reason


@pytest.mark.usefixtures("record")
def test_a_second_event_of_the_same_retraining_trains_nothing(
    trigger: Callable[..., object], stages: dict[str, object], store: Store
) -> None:
    trigger()
    first = dict(stages["runs"])
    again = trigger()
    assert str(again.state) == "success"
    assert stages["runs"] == first
    assert {state for task, state in states(again).items() if task != "pull"} == {"skipped"}
    assert store.retrainings("toy")[0].status == "done"


@pytest.mark.usefixtures("record")
def test_a_run_that_a_person_started_is_no_retraining(
    trigger: Callable[..., object], stages: dict[str, object], store: Store
) -> None:
    assert str(trigger(None).state) == "success"
    (run,) = stages["runs"].values()
    assert (run.because, run.spec.data.revision) == ({}, None)
    assert store.retrainings("toy")[0].status == "asked"


def test_the_newest_of_several_events_counts() -> None:
    from modelyard_dags.retraining import asked_for

    moment = datetime(2026, 11, 1, tzinfo=UTC)
    told = [
        SimpleNamespace(timestamp=moment + timedelta(hours=hour), extra=extra)
        for hour, extra in enumerate([{"retraining": "r1"}, {"retraining": "r2"}, {}])
    ]
    assert asked_for({"triggering_asset_events": {"asset": told}}) == "r2"
    assert asked_for({"triggering_asset_events": {}}) is None
    assert asked_for({}) is None
