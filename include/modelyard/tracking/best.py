"""The training of an experiment that did best, and its registration after the fact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.artifacts import Artifact, Evaluation, SplitData, TrainedModel
from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.spec.hints import nearest
from modelyard.spec.models import Spec
from modelyard.tracking import registry
from modelyard.tracking.client import call, connect, is_new
from modelyard.tracking.evaluations import EVALUATED
from modelyard.tracking.kept import SPEC, read_json
from modelyard.tracking.registry import ModelVersion
from modelyard.tracking.run_log import FINAL, KEY, PARENT, STAGE, TRAIN
from modelyard.workspace import ARTIFACT, Workspace

if TYPE_CHECKING:
    from mlflow.entities import Run

MOST_RUNS = 1000
AGAIN = "train again: modelyard run {name} --fresh"


def best_run(settings: Settings, experiment: str, metric: str, *, lower: bool) -> Run:
    """Find the training with the best value of a metric of those whose gate passed.

    Raises:
        TrackingError: there is no such experiment, or no training in it was measured so.
    """
    runs = [run for run in _runs(settings, experiment) if _is_training(run)]
    measured = [run for run in runs if FINAL + metric in run.data.metrics]
    if not measured:
        known = sorted(
            {name for run in runs for name in run.data.metrics if name.startswith(FINAL)}
        )
        raise _unmeasured(experiment, metric, [name.removeprefix(FINAL) for name in known])
    passed = [run for run in measured if run.data.tags.get("modelyard.gate") == "passed"]
    if not passed:
        message = f"{experiment}: the gate refused all {len(measured)} trainings"
        raise TrackingError(message, hint=f"see gate.json in MLflow's experiment {experiment}")
    return sorted(passed, key=lambda run: run.data.metrics[FINAL + metric], reverse=not lower)[0]


def registered(workspace: Workspace, run: Run) -> ModelVersion:
    """Return the version that a training became; make it if it never became one.

    Raises:
        TrackingError: the training's files are gone.
    """
    settings, name = workspace.settings, run.data.tags["modelyard.spec"]
    for version in registry.versions(settings, name):
        if version.mlflow_run == run.info.run_id:
            return version
    tags = run.data.tags
    made = registry.register(
        Spec.model_validate(read_json(settings, run, SPEC)),
        workspace,
        _artifact(workspace, SplitData, name, "content_hash", tags.get("modelyard.data_hash")),
        _artifact(workspace, TrainedModel, name, "key", tags.get(KEY)),
        _artifact(workspace, Evaluation, name, "key", tags.get(EVALUATED)),
        run=tags.get("modelyard.run", ""),
    )
    return registry.version(settings, name, made.version)


def _runs(settings: Settings, experiment: str) -> list[Run]:
    if is_new(settings):
        return []
    client = connect(settings)
    found = call("find the experiment", lambda: client.get_experiment_by_name(experiment))
    if found is None:
        return []
    query = "attributes.status = 'FINISHED'"
    runs: list[Run] = call(
        "list trainings",
        lambda: client.search_runs([found.experiment_id], query, max_results=MOST_RUNS),
    )
    return runs


def _is_training(run: Run) -> bool:
    """Trials, folds and their parents are no models."""
    return PARENT not in run.data.tags and run.data.tags.get(STAGE, TRAIN) == TRAIN


def _unmeasured(experiment: str, metric: str, known: list[str]) -> TrackingError:
    near = nearest(metric, known)
    message = f"no training of {experiment} was measured by {metric}"
    if not known:
        return TrackingError(message, hint=f"train one: modelyard run {experiment}")
    hint = f"did you mean {near}?" if near else f"there is {', '.join(known[:8])}"
    return TrackingError(message, hint=hint)


def _artifact[A: Artifact](
    workspace: Workspace, kind: type[A], name: str, field: str, value: str | None
) -> A:
    """Find the stage's artifact among those of the home folder."""
    for file in (workspace.home / "stages" / kind.stage).glob(f"*/{ARTIFACT}"):
        found = _read(kind, file)
        if found is not None and value and getattr(found, field) == value:
            return found
    message = f"{name}: the files of stage {kind.stage} of this training are gone"
    raise TrackingError(message, hint=AGAIN.format(name=name))


def _read[A: Artifact](kind: type[A], file: Path) -> A | None:
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None
