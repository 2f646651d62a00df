"""`tune` searches and `cross_validate` trains on folds, with real trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import TrainingError
from modelyard.spec.models import CrossValidationSpec, Spec, TuneSpec
from modelyard.training.folds import cross_validate
from modelyard.training.log import Untracked
from modelyard.training.train import train
from modelyard.training.tune import tune
from tests.training.samples import Chain, iris_spec

pytestmark = pytest.mark.heavy


def short(**changes: Any) -> Spec:
    model = dict(iris_spec().model) | {"trainer": {"epochs": 2, "batch_size": 32}}
    return iris_spec(model=model, **changes)


def searching(trials: int, **parameters: Any) -> Spec:
    section = {"trials": trials, "parameters": parameters, "metric": "species.accuracy"}
    return short(tune=TuneSpec.model_validate(section))


def test_the_best_trial_becomes_the_configuration(iris: Chain) -> None:
    rates = {"space": "choice", "categories": [1e-7, 0.05]}
    spec = searching(3, **{"trainer.learning_rate": rates})
    tuned = tune(spec, iris.split, iris.built, iris.workspace)
    scores = [trial.score for trial in tuned.trials if trial.score is not None]
    assert len(scores) == 3
    assert tuned.best.score == max(scores)
    config = json.loads(iris.workspace.path(tuned.config).read_text())
    assert config["trainer"]["learning_rate"] == tuned.best.parameters["trainer.learning_rate"]
    trained = train(spec, iris.split, tuned, iris.workspace, Untracked())
    assert trained.epochs == 2


def test_a_failed_trial_is_recorded_and_the_search_goes_on(iris: Chain) -> None:
    sizes = {"space": "choice", "categories": [8, "many"]}
    spec = searching(4, **{"combiner.output_size": sizes})
    tuned = tune(spec, iris.split, iris.built, iris.workspace)
    failed = [trial for trial in tuned.trials if trial.score is None]
    assert failed
    assert all("model.combiner.output_size" in str(trial.error) for trial in failed)
    assert tuned.best.parameters == {"combiner.output_size": 8}


def test_a_search_in_which_all_fails_says_why(iris: Chain) -> None:
    spec = searching(2, **{"combiner.output_size": {"space": "choice", "categories": ["many"]}})
    with pytest.raises(TrainingError, match="none of 2 trials succeeded"):
        tune(spec, iris.split, iris.built, iris.workspace)


def test_an_unknown_metric_names_those_that_there_are(iris: Chain) -> None:
    spec = searching(1, **{"combiner.output_size": {"space": "choice", "categories": [8]}})
    assert spec.tune is not None
    spec = short(tune=spec.tune.model_copy(update={"metric": "species.acuracy"}))
    with pytest.raises(TrainingError, match=r"there is no species\.acuracy .*species\.accuracy"):
        tune(spec, iris.split, iris.built, iris.workspace)


def test_folds_give_mean_and_deviation(iris: Chain) -> None:
    spec = short(cross_validation=CrossValidationSpec(folds=2))
    result = cross_validate(spec, iris.split, iris.built, iris.workspace)
    assert len(result.folds) == 2
    mean = sum(fold["species.accuracy"] for fold in result.folds) / 2
    assert result.mean["species.accuracy"] == pytest.approx(mean)
    assert set(result.std) == set(result.mean)
    folder = iris.workspace.home / "stages" / "cross_validate"
    assert not list(folder.rglob("*.safetensors"))


def test_sections_that_are_missing_are_said_to_be(iris: Chain, tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(TrainingError, match="no section tune"):
        tune(iris.spec, iris.split, iris.built, iris.workspace)
    with pytest.raises(TrainingError, match="no section cross_validation"):
        cross_validate(iris.spec, iris.split, iris.built, iris.workspace)
