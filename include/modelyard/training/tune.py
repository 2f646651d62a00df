"""The stage `tune`: a seeded random search; every trial is a real training."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import BuiltModel, SplitData, Trial, TunedModel
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec, TuneSpec, content_hash
from modelyard.training.build import CONFIG
from modelyard.training.config import resolve
from modelyard.training.engine import engine
from modelyard.training.fit import fit
from modelyard.training.metrics import COMBINED_LOSS, lower_is_better
from modelyard.training.rows import read_rows
from modelyard.training.space import place, sample
from modelyard.training.train import depends_on
from modelyard.workspace import Workspace, write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

TRIALS = "trials.json"
log = logging.getLogger(__name__)


def tune(spec: Spec, split: SplitData, built: BuiltModel, workspace: Workspace) -> TunedModel:
    """Try configurations and keep the one that does best on the validation split.

    A trial that fails is recorded with its reason; the search goes on.

    Raises:
        TrainingError: there is nothing to tune, or no trial succeeded.
    """
    if spec.tune is None:
        message = f"{spec.name} has no section tune"
        raise TrainingError(message)
    search = spec.tune

    def make(folder: Path, key: str) -> TunedModel:
        rows = read_rows(spec, split, workspace)
        trials = tuple(_try(spec, search, number, rows, folder) for number in range(search.trials))
        write_atomically(folder / TRIALS, json.dumps([t.model_dump() for t in trials], indent=2))
        best = _best(trials, search)
        with engine(spec.resources, f"build the best model of {spec.name}"):
            config = resolve(spec, place(spec.model, best.parameters))
        file = folder / CONFIG
        write_atomically(file, json.dumps(config, indent=2, sort_keys=True) + "\n")
        return TunedModel(
            key=key,
            config=workspace.relative(file),
            config_hash=content_hash(config),
            metric=_metric(search),
            best=best,
            trials=trials,
        )

    asked: JsonValue = [depends_on(spec, split, built), search.model_dump(mode="json"), spec.model]
    return workspace.once(TunedModel, asked, make)


def _metric(search: TuneSpec) -> str:
    return search.metric or COMBINED_LOSS


def _try(spec: Spec, search: TuneSpec, number: int, rows: DataFrame, folder: Path) -> Trial:
    parameters = sample(search, spec.seed, number)
    scratch = folder / f"trial-{number}"
    try:
        score = _score(spec, search, parameters, rows, scratch)
    except TrainingError as error:
        log.warning("trial %d/%d failed: %s", number + 1, search.trials, error)
        return Trial(number=number, parameters=parameters, score=None, error=str(error))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shown = "  ".join(f"{key} {value}" for key, value in parameters.items())
    metric = _metric(search)
    log.info("trial %d/%d  %s %.4g  with %s", number + 1, search.trials, metric, score, shown)
    return Trial(number=number, parameters=parameters, score=score)


def _score(
    spec: Spec,
    search: TuneSpec,
    parameters: dict[str, JsonValue],
    rows: DataFrame,
    scratch: Path,
) -> float:
    with engine(spec.resources, "build the trial's model"):
        config = resolve(spec, place(spec.model, parameters))
    fitted = fit(spec, config, rows, scratch, _nobody)
    metric = _metric(search)
    score = fitted.best.get(f"validation/{metric}")
    if score is None:
        known = sorted(
            name.removeprefix("validation/")
            for name in fitted.best
            if name.startswith("validation/")
        )
        message = f"there is no {metric} on the validation split"
        raise TrainingError(message, hint=f"there are {', '.join(known) or 'no validation rows'}")
    return score


def _nobody(number: int, total: int, figures: dict[str, float]) -> None:
    """Follow no epoch: the trial's end is reported."""


def _best(trials: tuple[Trial, ...], search: TuneSpec) -> Trial:
    done = [(trial.score, trial) for trial in trials if trial.score is not None]
    if not done:
        message = f"none of {len(trials)} trials succeeded; the first: {trials[0].error}"
        raise TrainingError(message)
    metric = _metric(search)
    lower = lower_is_better(metric) if search.goal is None else search.goal == "minimize"
    return min(done, key=lambda pair: pair[0] if lower else -pair[0])[1]
