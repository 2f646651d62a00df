"""A training is one MLflow run, however often it is retried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelyard.errors import TrackingError
from modelyard.tracking.client import connect
from modelyard.tracking.evaluations import log_evaluation
from modelyard.tracking.outbox import Outbox
from modelyard.tracking.run_log import experiment_id
from modelyard.tracking.runs import open_run
from modelyard.workspace import Workspace
from tests.tracking.samples import make, spec


def tracked(workspace: Workspace, key: str) -> str:
    with open_run(spec(), workspace, run=f"run-{key}", tags={"modelyard.dvc_hash": "h"}) as log:
        log.begin(key, {"data_hash": "d"})
        log.params({"model": spec().model})
        log.epoch(1, 1, {"epoch": 1, "train/label.loss": 0.5})
    return log.run_id


def test_a_run_bears_what_it_depends_on(workspace: Workspace) -> None:
    run = connect(workspace.settings).get_run(tracked(workspace, "depends"))
    tags = run.data.tags
    assert tags["modelyard.run"] == tags["modelyard.dag_run"] == "run-depends"
    assert tags["modelyard.key"] == "depends"
    assert tags["modelyard.data_hash"] == "d"
    assert tags["modelyard.dvc_hash"] == "h"
    assert tags["modelyard.spec_hash"] == spec().hash
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run-depends"
    assert run.data.params["model.input_features.width.type"] == "number"


def test_files_describe_spec_and_environment(workspace: Workspace) -> None:
    client, run_id = connect(workspace.settings), tracked(workspace, "files")
    folder = Path(client.get_run(run_id).info.artifact_uri)
    assert folder.is_relative_to(workspace.settings.artifact_root)
    assert json.loads((folder / "spec.json").read_text())["name"] == "flowers"
    assert "mlflow==" in (folder / "environment" / "packages.txt").read_text()


def test_a_retry_continues_the_same_run(workspace: Workspace) -> None:
    assert tracked(workspace, "again") == tracked(workspace, "again")


def test_another_training_is_another_run(workspace: Workspace) -> None:
    assert tracked(workspace, "one") != tracked(workspace, "two")


def test_a_training_that_was_done_before_opens_nothing(workspace: Workspace) -> None:
    with open_run(spec(name="nothing"), workspace, run="r") as log:
        assert log.run_id == ""
    assert connect(workspace.settings).get_experiment_by_name("nothing") is None


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("bad"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_failure_closes_the_run_and_is_told(
    workspace: Workspace, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), open_run(spec(), workspace, run="r") as log:  # noqa: PT012 - the context is what is tested
        log.begin(f"fails-{status}", {})
        raise error
    assert connect(workspace.settings).get_run(log.run_id).info.status == status


def test_given_files_are_kept_in_their_folders(workspace: Workspace, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("fine")
    with open_run(spec(), workspace, run="r", files={report: "validation"}) as log:
        log.begin("reported", {})
    client = connect(workspace.settings)
    assert [entry.path for entry in client.list_artifacts(log.run_id, "validation")] == [
        "validation/report.html"
    ]


def test_every_epoch_arrives_although_calls_are_few(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, run_id = connect(workspace.settings), tracked(workspace, "epochs")
    calls = []
    real = client.log_batch
    monkeypatch.setattr(client, "log_batch", lambda *a, **k: (calls.append(1), real(*a, **k)))
    metrics = Outbox(client, run_id)
    for number in range(50):
        metrics.add({"a": float(number), "b": float("nan")}, step=number)
    metrics.flush()
    history = client.get_metric_history(run_id, "a")
    assert sorted((point.step, point.value) for point in history) == [(n, n) for n in range(50)]
    assert len(calls) <= 3
    assert "b" not in client.get_run(run_id).data.metrics


def test_metrics_wait_while_mlflow_is_away(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, run_id = connect(workspace.settings), tracked(workspace, "away")
    metrics = Outbox(client, run_id)
    real = client.log_batch

    def away(*_args: object, **_kwargs: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(client, "log_batch", away)
    metrics.add({"a": 1.0}, step=1)
    monkeypatch.setattr(client, "log_batch", real)
    metrics.flush()
    assert client.get_run(run_id).data.metrics["a"] == 1.0


def test_an_evaluation_is_logged_once(workspace: Workspace) -> None:
    made = make(workspace, "evaluated")
    log_evaluation(workspace, made.trained, made.evaluation)
    client = connect(workspace.settings)
    run = client.get_run(made.trained.mlflow_run)
    assert run.data.metrics["evaluation/label.accuracy"] == 0.9
    assert run.data.tags["modelyard.gate"] == "passed"
    assert len(client.get_metric_history(run.info.run_id, "evaluation/label.accuracy")) == 1
    names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {"plots", "gate.json"} <= names


def test_a_run_that_mlflow_lost_is_said_to_be_lost(workspace: Workspace) -> None:
    made = make(workspace, "lost")
    gone = made.trained.model_copy(update={"mlflow_run": "0" * 32})
    with pytest.raises(TrackingError, match=r"has no run 0+.*--fresh"):
        log_evaluation(workspace, gone, made.evaluation)


def test_mlflows_page_opens_as_one_for_trainings(workspace: Workspace) -> None:
    experiment = experiment_id(workspace.settings, "kind")
    tags = connect(workspace.settings).get_experiment(experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_deleted_experiment_comes_back(workspace: Workspace) -> None:
    client = connect(workspace.settings)
    experiment = experiment_id(workspace.settings, "deleted")
    client.delete_experiment(experiment)
    assert experiment_id(workspace.settings, "deleted") == experiment
