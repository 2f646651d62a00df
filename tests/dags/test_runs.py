"""Whole DAG runs in this process, with stages that answer at once."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modelyard.errors import (
    ChecksFailed,
    ComputeError,
    ModelyardError,
    Problem,
    StoreError,
    UsageError,
)
from modelyard.runs import Run
from modelyard.settings import get_settings
from modelyard.stages import STAGES
from modelyard.workspace import Workspace

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's own reading of .airflowignore, and its in-process API
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

type Artifacts = dict[str, Mapping[str, object]]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What was called with what; put an error under a stage's name to have it raised."""
    seen: dict[str, object] = {"calls": [], "runs": [], "errors": {}}

    def run_stage(
        stage: str, run: Run, earlier: Artifacts, workspace: Workspace
    ) -> dict[str, object]:
        assert workspace.home == get_settings().home
        seen["calls"].append((stage, sorted(earlier)))
        seen["runs"].append(run)
        error = seen["errors"].get(stage)
        if error is not None:
            raise error
        return {"key": stage, "model": run.spec.name, "version": 3, "metrics": {"label.f1": 0.9}}

    monkeypatch.setattr("modelyard.compute.run_stage", run_stage)
    return seen


@pytest.fixture
def trigger(bag: Callable[[], object]) -> Callable[..., object]:
    """Run a DAG to its end."""

    def run(dag_id: str, **conf: object) -> object:
        return bag().dags[dag_id].test(run_conf=conf)

    return run


def states(dag_run: object) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def called(stages: dict[str, object]) -> list[str]:
    return [stage for stage, _ in stages["calls"]]


def test_a_run_goes_through_the_stages_and_skips_what_is_not_asked_for(
    write_spec: Callable[..., Path], stages: dict[str, object], trigger: Callable[..., object]
) -> None:
    write_spec("toy")
    done = trigger("train_toy")
    expected = [stage for stage in STAGES if stage not in ("tune", "cross_validate")]
    assert str(done.state) == "success"
    assert called(stages) == expected
    assert states(done)["cross_validate"] == "skipped"
    for number, (_, earlier) in enumerate(stages["calls"]):
        assert earlier == sorted(expected[:number])


def test_a_search_that_is_switched_off_is_skipped(
    write_spec: Callable[..., Path], stages: dict[str, object], trigger: Callable[..., object]
) -> None:
    write_spec("toy", search=True)
    done = trigger("train_toy", tune=False, cross_validate=True)
    assert states(done)["tune"] == "skipped"
    assert "cross_validate" in called(stages)
    assert stages["runs"][-1].spec.tune is None


def test_train_any_trains_what_its_form_says(
    write_spec: Callable[..., Path], stages: dict[str, object], trigger: Callable[..., object]
) -> None:
    write_spec("one")
    write_spec("two")
    form = {"spec": "two", "revision": "v1", "seed": 7, "overrides": {"model.trainer.epochs": 9}}
    done = trigger("train_any", **form)
    run = stages["runs"][0]
    assert str(done.state) == "success"
    assert (run.spec.name, run.spec.data.revision, run.spec.seed) == ("two", "v1", 7)
    assert run.spec.model["trainer"] == {"epochs": 9}


def test_one_id_names_the_run_everywhere(
    write_spec: Callable[..., Path], stages: dict[str, object], trigger: Callable[..., object]
) -> None:
    write_spec("toy")
    done = trigger("train_toy")
    (run,) = {each.id for each in stages["runs"]}
    assert run.startswith("toy.")
    assert run.removeprefix("toy.")[:25] in done.run_id.replace(":", "-")
    written = json.loads(
        (Workspace(get_settings()).run_folder(run) / "run.json").read_text(encoding="utf-8")
    )
    assert written["id"] == run


def test_the_model_is_made_known_with_its_version_and_metrics(
    write_spec: Callable[..., Path], stages: dict[str, object], trigger: Callable[..., object]
) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    write_spec("toy")
    done = trigger("train_any", spec="toy")
    with create_session() as session:
        events = session.scalars(
            select(AssetEvent).where(AssetEvent.source_run_id == done.run_id)
        ).all()
        extras = {event.uri: event.extra for event in events}
    assert set(extras) == {
        "modelyard://data/data/toy",
        "modelyard://models/toy",
        "modelyard://endpoints/toy",
    }
    model = extras["modelyard://models/toy"]
    assert model["run"] == stages["runs"][0].id
    assert (model["version"], model["metrics"]) == (3, {"label.f1": 0.9})


def test_a_refusal_fails_at_once_and_in_its_own_words(
    write_spec: Callable[..., Path],
    stages: dict[str, object],
    trigger: Callable[..., object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    problem = Problem("3 values are missing", field="label")
    stages["errors"]["validate"] = ChecksFailed("toy: the data broke 1 check", (problem,))
    write_spec("toy")
    with caplog.at_level(logging.ERROR, logger="modelyard_dags"):
        done = trigger("train_toy")
    assert states(done)["validate"] == "failed"
    assert called(stages) == ["pull", "validate"]
    assert "label: 3 values are missing" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (ComputeError("no Ray cluster answers"), "default"),
        (StoreError("the database is locked"), "default"),
        (ModelyardError("no"), "fail"),
        (UsageError("no such spec"), "fail"),
    ],
)
def test_only_what_may_pass_is_left_to_a_retry(error: ModelyardError, decision: str) -> None:
    from modelyard_dags.operators import RETRIES, refusals_told

    with pytest.raises(SystemExit) as stopped, refusals_told():
        raise error
    made = RETRIES["retry_policy"].evaluate(stopped.value, try_number=1, max_tries=2)
    assert made.action.value == decision


def test_a_broken_spec_fails_with_its_error(
    specs: Path, trigger: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    (specs / "bad.yaml").write_text("name: bad\n")
    with caplog.at_level(logging.ERROR, logger="modelyard_dags"):
        done = trigger("train_bad")
    assert states(done) == {"broken_spec": "failed"}
    assert "bad.yaml" in caplog.text


def test_an_override_that_does_not_fit_is_refused_with_a_hint(
    write_spec: Callable[..., Path],
    stages: dict[str, object],
    trigger: Callable[..., object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_spec("toy")
    with caplog.at_level(logging.ERROR, logger="modelyard_dags"):
        done = trigger("train_toy", overrides={"model.trainer.epoch": 3})
    assert states(done)["pull"] == "failed"
    assert called(stages) == []
    assert "epochs" in caplog.text
