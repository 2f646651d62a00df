"""The stage `tune`: a search for better hyperparameters; every trial is a real training."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from modelyard.artifacts import BuiltModel, SplitData, Trial, TunedModel
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec, TuneSpec
from modelyard.training.build import CONFIG
from modelyard.training.log import TrainingLog
from modelyard.training.metrics import COMBINED_LOSS, lower_is_better
from modelyard.training.pool import Pool, side_by_side
from modelyard.training.pretrained import config_hash
from modelyard.training.search import Memory, Search
from modelyard.training.search_plots import draw_importance, draw_search
from modelyard.training.space import place
from modelyard.training.train import depends_on
from modelyard.training.trial import ResolveJob
from modelyard.training.trials import Trials
from modelyard.workspace import Workspace, write_atomically

TRIALS, TABLE, BEST, PLOTS = "trials.json", "trials.csv", "best.json", "plots"
LUDWIGS_EPOCHS = 100
CONFIGURATION: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
log = logging.getLogger(__name__)


def tune(  # noqa: PLR0913, PLR0917 - what is searched, what with, and who hears of it
    spec: Spec,
    split: SplitData,
    built: BuiltModel,
    workspace: Workspace,
    tracked: TrainingLog,
    pool: Pool,
) -> TunedModel:
    """Try configurations and keep the one that does best on the validation split.

    A trial that fails is recorded with its reason; the search goes on. A search that was killed
    keeps the trials that had ended.

    Raises:
        TrainingError: there is nothing to tune, or no trial succeeded.
        TrackingError: MLflow cannot be reached for a minute.
    """
    if spec.tune is None:
        message = f"{spec.name} has no section tune"
        raise TrainingError(message)
    search = spec.tune

    def make(folder: Path, key: str) -> TunedModel:
        tracked.begin(key, {"data_hash": split.content_hash, "config_hash": built.config_hash})
        tracked.params({"tune": search.model_dump(mode="json"), "seed": spec.seed})
        asked = Search(_memory(spec, search, workspace.kept(key) / "search"))
        runs = Trials(spec, split, workspace, asked, tracked, key)
        side_by_side(pool, [lambda: runs.next(pool)] * asked.left(), search.parallel)
        trials = runs.all()
        try:
            best = best_of(trials, search)
        except TrainingError:
            shutil.rmtree(workspace.kept(key), ignore_errors=True)  # the next call may do better
            raise
        resolved = pool.run(ResolveJob(spec, best.parameters, workspace), lambda _: None)
        config = CONFIGURATION.validate_python(resolved)
        file = folder / CONFIG
        write_atomically(file, json.dumps(config, indent=2, sort_keys=True) + "\n")
        _write(trials, best, search, folder)
        draw_search(trials, best, search, metric_of(search), folder / PLOTS)
        draw_importance(asked.study, folder / PLOTS)
        _note(tracked, trials, best, folder)
        return TunedModel(
            key=key,
            config=workspace.relative(file),
            config_hash=config_hash(config),
            metric=metric_of(search),
            best=best,
            trials=trials,
            mlflow_run=tracked.run_id,
        )

    asked: JsonValue = [
        depends_on(spec, split, built),
        search.model_dump(mode="json", exclude={"parallel"}),
        place(spec.model, {}),
    ]
    return workspace.once(TunedModel, asked, make)


def _memory(spec: Spec, search: TuneSpec, folder: Path) -> Memory:
    trainer = spec.model.get("trainer")
    epochs = trainer.get("epochs", LUDWIGS_EPOCHS) if isinstance(trainer, dict) else LUDWIGS_EPOCHS
    return Memory(
        folder=folder,
        tune=search,
        lower_is_better=is_lower_better(search),
        epochs=epochs if isinstance(epochs, int) else LUDWIGS_EPOCHS,
        seed=spec.seed,
    )


def metric_of(search: TuneSpec) -> str:
    """What is compared."""
    return search.metric or COMBINED_LOSS


def is_lower_better(search: TuneSpec) -> bool:
    """Which direction is better, by the spec or by the metric's name."""
    if search.goal is not None:
        return search.goal == "minimize"
    return lower_is_better(metric_of(search))


def best_of(trials: tuple[Trial, ...], search: TuneSpec) -> Trial:
    """The best of the trials that went to their end; one that was stopped only if there is no other.

    Raises:
        TrainingError: all failed.
    """
    done = [trial for trial in trials if trial.score is not None]
    if not done:
        message = f"none of {len(trials)} trials succeeded; the first: {trials[0].error}"
        raise TrainingError(message)
    finished = [trial for trial in done if trial.state == "finished"] or done
    sign = 1 if is_lower_better(search) else -1
    return min(finished, key=lambda trial: sign * (trial.score or 0.0))


def _write(trials: tuple[Trial, ...], best: Trial, search: TuneSpec, folder: Path) -> None:
    listed = [trial.model_dump(mode="json") for trial in trials]
    write_atomically(folder / TRIALS, json.dumps(listed, indent=2) + "\n")
    chosen = {"metric": metric_of(search), **best.model_dump(mode="json")}
    write_atomically(folder / BEST, json.dumps(chosen, indent=2) + "\n")
    keys = sorted(search.parameters)
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["number", "state", metric_of(search), "epochs", *keys, "error"])
        for trial in trials:
            values = [trial.parameters.get(key) for key in keys]
            head = [trial.number, trial.state, trial.score, trial.epochs]
            table.writerow([*head, *(_cell(value) for value in values), trial.error])


def _cell(value: JsonValue) -> JsonValue:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _note(tracked: TrainingLog, trials: tuple[Trial, ...], best: Trial, folder: Path) -> None:
    for name in (CONFIG, TRIALS, TABLE, BEST):
        tracked.artifact(folder / name)
    for plot in sorted((folder / PLOTS).glob("*.png")):
        tracked.artifact(plot, PLOTS)
    states = [trial.state for trial in trials]
    tracked.metrics(
        {
            "best_score": best.score or 0.0,
            "best_trial": float(best.number),
            "trials": float(len(trials)),
            "trials_stopped_early": float(states.count("stopped early")),
            "trials_failed": float(states.count("failed")),
        }
    )
    tracked.tags({"modelyard.best_trial_run": best.mlflow_run})
