"""What an evaluation adds to a training's run: metrics, plots, predictions, and the champion beside it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.artifacts import Evaluation, TrainedModel
from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.tracking import registry
from modelyard.tracking.client import call, connect
from modelyard.tracking.compare import Comparison, compare_runs
from modelyard.tracking.compare_text import markdown, short_verdict, verdicts
from modelyard.tracking.kept import PREDICTIONS, run_of
from modelyard.tracking.outbox import Outbox
from modelyard.tracking.run_log import FINAL, TRAIN
from modelyard.tracking.wandb_log import About, open_wandb
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities import Run

EVALUATED = "modelyard.evaluation"
NOTE = "mlflow.note.content"
COMPARED = "## Against the champion"
PER_CLASS = "per_class/"
log = logging.getLogger(__name__)


def log_evaluation(workspace: Workspace, trained: TrainedModel, evaluation: Evaluation) -> None:
    """Add an evaluation to the training's run, and hold it against the champion; once.

    Raises:
        TrackingError: MLflow cannot be reached, or has lost the run.
    """
    settings = workspace.settings
    run = run_of(settings, trained.mlflow_run)
    if run.data.tags.get(EVALUATED) == evaluation.key:
        return
    folder = workspace.path(evaluation.predictions).parent
    _keep_files(settings, run, evaluation, folder)
    outbox = Outbox(connect(settings), run.info.run_id, hold=1)
    outbox.add({FINAL + name: value for name, value in evaluation.metrics.items()}, step=0)
    outbox.add({PER_CLASS + name: value for name, value in _per_class(folder).items()}, step=0)
    outbox.tags({"modelyard.gate": "passed" if evaluation.passed else "refused"})
    outbox.flush()
    _tell_second(settings, run, evaluation)
    outbox.tags({**_beside_the_champion(settings, run), EVALUATED: evaluation.key})
    outbox.flush()


def _tell_second(settings: Settings, run: Run, evaluation: Evaluation) -> None:
    """Add the metrics to the run that Weights & Biases has of the training."""
    tags = run.data.tags
    name, group = run.info.run_name or "", tags.get("modelyard.run", "")
    about = About(run.info.run_id, tags.get("modelyard.spec", ""), name, group, TRAIN)
    second = open_wandb(settings, about)
    if second is not None:
        second.summary({FINAL + name: value for name, value in evaluation.metrics.items()})
        second.end()


def _keep_files(settings: Settings, run: Run, evaluation: Evaluation, folder: Path) -> None:
    client, run_id = connect(settings), run.info.run_id
    gate = {
        "passed": evaluation.passed,
        "rules": [result.model_dump(mode="json") for result in evaluation.gate],
    }
    call("keep plots", lambda: client.log_artifacts(run_id, str(folder / "plots"), "plots"))
    call("keep the gate", lambda: client.log_dict(run_id, gate, "gate.json"))
    predictions, report = folder / Path(PREDICTIONS).name, folder / "report"
    if predictions.exists():
        place = str(Path(PREDICTIONS).parent)
        call("keep predictions", lambda: client.log_artifact(run_id, str(predictions), place))
    if report.exists():
        call("keep the report", lambda: client.log_artifacts(run_id, str(report), "report"))


def _per_class(folder: Path) -> dict[str, float]:
    try:
        figures: dict[str, float] = json.loads((folder / "per_class.json").read_bytes())
    except FileNotFoundError:
        return {}
    return figures


def _beside_the_champion(settings: Settings, run: Run) -> dict[str, str]:
    """Compare with the champion and show it in MLflow; a comparison that fails is no failed evaluation."""
    name = run.data.tags.get("modelyard.spec", "")
    best = registry.champion(settings, name)
    if best is None or best.mlflow_run == run.info.run_id:
        return {}
    try:
        comparison = compare_runs(
            settings, (best.title, best.mlflow_run), ("this run", run.info.run_id)
        )
        _keep_comparison(settings, run, comparison)
    except TrackingError as error:
        log.warning("not compared with the champion: %s", error)
        return {"modelyard.compared_with": best.title, "modelyard.comparison": "failed"}
    note = run.data.tags.get(NOTE, "").partition(COMPARED)[0].rstrip()
    found = "\n".join(f"- {line}" for line in verdicts(comparison))
    return {
        "modelyard.compared_with": best.title,
        "modelyard.comparison": short_verdict(comparison),
        NOTE: f"{note}\n\n{COMPARED}\n\n{found}\n\nSee `comparison/` in the artifacts.\n",
    }


def _keep_comparison(settings: Settings, run: Run, comparison: Comparison) -> None:
    client, run_id = connect(settings), run.info.run_id
    place = f"comparison/{comparison.first.replace(' ', '-')}"
    text, content = markdown(comparison), comparison.model_dump(mode="json")
    call("keep the comparison", lambda: client.log_text(run_id, text, f"{place}.md"))
    call("keep the comparison", lambda: client.log_dict(run_id, content, f"{place}.json"))
