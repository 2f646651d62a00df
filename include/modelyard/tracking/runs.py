"""A tracked run: opened once a training, continued by a retry, fed at about one call a second."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import Evaluation, TrainedModel
from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.tracking.client import call, connect, created, found
from modelyard.tracking.environment import commit_of, machine, packages
from modelyard.tracking.metrics import Metrics
from modelyard.tracking.params import flatten
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "modelyard.key"
EVALUATED = "modelyard.evaluation"
FINAL = "evaluation/"
PARAMS_A_CALL = 100
LAST_WORDS_SECONDS = 2.0


@contextmanager
def open_run(
    spec: Spec,
    workspace: Workspace,
    *,
    run: str,
    tags: Mapping[str, str] | None = None,
    files: Mapping[Path, str] | None = None,
) -> Iterator[RunLog]:
    """Track a training; MLflow hears of it when the training begins, so a finished one costs nothing.

    `tags` and `files` (with the folder for each) are kept with the run.

    Raises:
        TrackingError: MLflow cannot be reached for a minute, or refuses.
    """
    tracked = RunLog(spec, workspace, run, dict(tags or {}), dict(files or {}))
    try:
        yield tracked
    except BaseException as error:
        with contextlib.suppress(TrackingError):  # the first error is the one to tell
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            tracked.end(status, patience=LAST_WORDS_SECONDS)
        raise
    tracked.end("FINISHED")


class RunLog:
    """What `modelyard.training` tells, written to one MLflow run."""

    def __init__(
        self,
        spec: Spec,
        workspace: Workspace,
        run: str,
        tags: dict[str, str],
        files: dict[Path, str],
    ) -> None:
        self.run_id = ""
        self._spec = spec
        self._settings = workspace.settings
        self._files = files
        self._tags = {**tags, "modelyard.run": run, "modelyard.dag_run": run}
        self._name = run
        self._pending: Metrics | None = None

    def begin(self, key: str, facts: Mapping[str, str]) -> None:
        """Find the run of this training by its key, or create it, and say what it depends on."""
        commit = commit_of(self._settings.project)
        tags = {
            **self._tags,
            KEY: key,
            **{f"modelyard.{name}": value for name, value in facts.items()},
            "modelyard.spec": self._spec.name,
            "modelyard.spec_hash": self._spec.hash,
            "modelyard.git_dirty": str(commit.dirty).lower(),
            "mlflow.source.name": "modelyard",
            "mlflow.source.git.commit": commit.commit,
            "mlflow.note.content": self._spec.description,
        }
        self.run_id = call("open a run", lambda: self._find_or_create(key, tags))
        self._pending = Metrics(self._client, self.run_id)
        self._describe()
        for file, folder in self._files.items():
            self.artifact(file, folder)

    def params(self, values: Mapping[str, JsonValue]) -> None:
        """Note what the training was asked to do."""
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in flatten(values).items()]
        for first in range(0, len(params), PARAMS_A_CALL):
            part = params[first : first + PARAMS_A_CALL]
            call("log parameters", lambda p=part: self._client.log_batch(self.run_id, params=p))  # type: ignore[misc]  # p is bound now

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        """Note the figures of one epoch; they are sent at most once a second."""
        del total
        self.metrics({k: v for k, v in metrics.items() if k != "epoch"}, step=number)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Note figures."""
        if self._pending is not None:
            self._pending.add(values, step)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file with the run."""
        call(
            f"keep {path.name}",
            lambda: self._client.log_artifact(self.run_id, str(path), folder or None),
        )

    def end(self, status: str, patience: float | None = None) -> None:
        """Send what is left and close the run, if it was begun."""
        if self._pending is None:
            return
        self._pending.flush(patience)
        call("end the run", lambda: self._client.set_terminated(self.run_id, status), patience)

    @property
    def _client(self) -> MlflowClient:
        return connect(self._settings)

    def _find_or_create(self, key: str, tags: dict[str, str]) -> str:
        experiment = experiment_id(self._settings, self._spec.name)
        runs = self._client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        if not runs:
            run = self._client.create_run(experiment, tags=tags, run_name=self._name)
            return str(run.info.run_id)
        run_id = str(runs[0].info.run_id)
        self._client.update_run(run_id, status="RUNNING")
        for name, value in tags.items():
            self._client.set_tag(run_id, name, value)
        return run_id

    def _describe(self) -> None:
        """Keep the spec and the environment as files."""
        spec = self._spec.model_dump(mode="json", exclude_unset=True)
        files = {
            "spec.json": json.dumps(spec, indent=2) + "\n",
            "environment/packages.txt": "\n".join(packages()) + "\n",
            "environment/machine.json": json.dumps(machine(), indent=2) + "\n",
        }
        for name, text in files.items():
            call(
                f"keep {name}",
                lambda n=name, t=text: self._client.log_text(self.run_id, t, n),  # type: ignore[misc]  # bound now
            )


def experiment_id(settings: Settings, name: str) -> str:
    """Find or create the experiment of a spec; its files lie at the same path with and without a server."""
    client = connect(settings)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = str(settings.artifact_root / name)
        created(lambda: client.create_experiment(name, artifact_location=location))
        experiment = client.get_experiment_by_name(name)
    elif experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def log_evaluation(workspace: Workspace, trained: TrainedModel, evaluation: Evaluation) -> None:
    """Add an evaluation to the training's run: metrics, plots and the gate's answer; once.

    Raises:
        TrackingError: MLflow cannot be reached, or has lost the run.
    """
    run_id = trained.mlflow_run
    client = connect(workspace.settings)
    run = call("find the run", lambda: found(lambda: client.get_run(run_id)))
    if run is None:
        message = f"MLflow has no run {run_id}, which the training made"
        raise TrackingError(message, hint="train again: modelyard run SPEC --fresh")
    if run.data.tags.get(EVALUATED) == evaluation.key:
        return
    metrics = Metrics(client, run_id)
    metrics.add({FINAL + name: value for name, value in evaluation.metrics.items()}, step=0)
    metrics.flush()
    folder = workspace.path(evaluation.predictions).parent
    gate = {
        "passed": evaluation.passed,
        "rules": [result.model_dump(mode="json") for result in evaluation.gate],
    }
    call("keep plots", lambda: client.log_artifacts(run_id, str(folder / "plots"), "plots"))
    call("keep the gate", lambda: client.log_dict(run_id, gate, "gate.json"))
    answer = "passed" if evaluation.passed else "refused"
    call("tag the gate", lambda: client.set_tag(run_id, "modelyard.gate", answer))
    call("tag the evaluation", lambda: client.set_tag(run_id, EVALUATED, evaluation.key))
