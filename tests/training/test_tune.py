"""`tune` searches and `cross_validate` trains on folds, with real trainings."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from modelyard.artifacts import CrossValidation, TunedModel
from modelyard.errors import TrainingError
from modelyard.spec.models import CrossValidationSpec, Spec, TuneSpec
from modelyard.training import prepare
from modelyard.training.folds import cross_validate
from modelyard.training.log import Untracked
from modelyard.training.pool import Call, LocalPool, Say, end_processes
from modelyard.training.train import train
from modelyard.training.tune import tune
from tests.training.samples import Chain, iris_spec

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module", autouse=True)
def _processes_end() -> Iterator[None]:
    yield
    end_processes()


def short(**changes: Any) -> Spec:
    model = dict(iris_spec().model) | {"trainer": {"epochs": 2, "batch_size": 32}}
    return iris_spec(model=model, **changes)


def searching(trials: int, parameters: dict[str, Any], **changes: Any) -> Spec:
    section = {"trials": trials, "parameters": parameters, "metric": "species.accuracy"} | changes
    return short(tune=TuneSpec.model_validate(section))


def search(iris: Chain, spec: Spec) -> TunedModel:
    return tune(spec, iris.split, iris.built, iris.workspace, Untracked(), LocalPool())


def on_folds(iris: Chain, spec: Spec, pool: Any = None) -> CrossValidation:
    args = (spec, iris.split, iris.built, iris.workspace, Untracked(), pool or LocalPool())
    return cross_validate(*args)


def test_the_best_trial_becomes_the_configuration(iris: Chain) -> None:
    spec = searching(
        5,
        {
            "trainer.learning_rate": {"space": "choice", "categories": [1e-7, 0.05]},
            "trainer.optimizer.type": {"space": "choice", "categories": ["adam", "sgd"]},
            "combiner.output_size": {"space": "choice", "categories": [8, "many"]},
        },
        search="grid",
        scheduler="asha",
        grace_epochs=1,
    )
    tuned = search(iris, spec)
    failed = [trial for trial in tuned.trials if trial.state == "failed"]
    assert len(failed) == 2, "an impossible configuration does not end the search"
    assert all("model.combiner.output_size" in str(trial.error) for trial in failed)
    config = json.loads(iris.workspace.path(tuned.config).read_text())
    assert config["trainer"]["learning_rate"] == tuned.best.parameters["trainer.learning_rate"]
    assert config["combiner"]["output_size"] == 8
    trained = train(spec, iris.split, tuned, iris.workspace, Untracked())
    assert trained.epochs == 2


def test_rows_are_prepared_once_where_trials_treat_them_alike(
    iris: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    counted = prepare.training_rows_alone
    monkeypatch.setattr(
        prepare, "training_rows_alone", lambda rows: prepared.append(len(rows)) or counted(rows)
    )
    normal = {"space": "choice", "categories": ["zscore", "minmax"]}
    rate = {"space": "choice", "categories": [0.01, 0.02]}
    key = "input_features.petal_width.preprocessing.normalization"
    tuned = search(iris, searching(4, {key: normal, "trainer.learning_rate": rate}, search="grid"))
    assert [trial.state for trial in tuned.trials] == ["finished"] * 4
    assert prepared == [150, 150]


def test_a_trial_can_be_scored_on_folds(iris: Chain) -> None:
    sizes = {"combiner.output_size": {"space": "choice", "categories": [8]}}
    tuned = search(iris, searching(1, sizes, folds=2))
    assert tuned.best.epochs == 4
    assert 0 < (tuned.best.score or 0) <= 1


def test_an_unknown_metric_names_those_that_there_are(iris: Chain) -> None:
    sizes = {"combiner.output_size": {"space": "choice", "categories": [8]}}
    spec = searching(1, sizes, metric="species.acuracy")
    with pytest.raises(TrainingError, match=r"there is no species\.acuracy .*species\.accuracy"):
        search(iris, spec)


def test_folds_give_mean_and_deviation(iris: Chain, caplog: pytest.LogCaptureFixture) -> None:
    spec = short(cross_validation=CrossValidationSpec(folds=2))
    with caplog.at_level(logging.INFO, logger="modelyard"):
        result = on_folds(iris, spec)
    assert len(result.folds) == 2
    mean = sum(fold["species.accuracy"] for fold in result.folds) / 2
    assert result.mean["species.accuracy"] == pytest.approx(mean)
    assert set(result.std) == set(result.mean)
    told = [text.split()[1] for text in caplog.messages if text.startswith("fold ")]
    assert told == ["0/2", "1/2", "1/2", "2/2"], "each as it begins and as it ends"
    home = iris.workspace.home
    assert not list((home / "stages" / "cross_validate").rglob("*.safetensors"))
    assert not list((home / "unfinished").glob("*"))


class Interrupted:
    """A pool that is lost after its first fold."""

    size = 1

    def __init__(self) -> None:
        self.calls = 0

    def run(self, call: Call, listen: Say) -> JsonValue:
        self.calls += 1
        if self.calls > 1:
            raise KeyboardInterrupt
        return call(listen)

    def stop(self) -> None:
        """Nothing runs."""


def test_folds_that_had_ended_are_not_trained_again(iris: Chain) -> None:
    spec = short(cross_validation=CrossValidationSpec(folds=3), seed=5)
    with pytest.raises(KeyboardInterrupt):
        on_folds(iris, spec, Interrupted())
    trained: list[int] = []

    class Counting(LocalPool):
        def run(self, call: Call, listen: Say) -> JsonValue:
            trained.append(call.number)  # type: ignore[attr-defined]  # a fold's
            return super().run(call, listen)

    result = on_folds(iris, spec, Counting())
    assert trained == [1, 2]
    assert len(result.folds) == 3


def test_sections_that_are_missing_are_said_to_be(iris: Chain, tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(TrainingError, match="no section tune"):
        search(iris, iris.spec)
    with pytest.raises(TrainingError, match="no section cross_validation"):
        on_folds(iris, iris.spec)
