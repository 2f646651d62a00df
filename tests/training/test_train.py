"""`train` gives the same weights for the same spec, data and seed, and tells what it does."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.build import build
from modelyard.training.evaluate import evaluate
from modelyard.training.log import Untracked
from modelyard.training.train import train
from tests.training.samples import (
    Chain,
    digits_spec,
    iris_rows,
    iris_spec,
    save_split,
    workspace_in,
    write_digits,
)

pytestmark = pytest.mark.heavy


class Listener(Untracked):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, int, dict[str, float]]] = []

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append((number, total, dict(metrics)))


class Interrupted(Untracked):
    """Presses Ctrl-C after the first epoch."""

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        del number, total, metrics
        signal.raise_signal(signal.SIGINT)


def test_weights_and_metrics_do_not_depend_on_the_folder(iris: Chain, tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, iris.rows)
    built = build(iris.spec, split, workspace)
    trained = train(iris.spec, split, built, workspace, Untracked())
    again = evaluate(iris.spec, split, trained, workspace, None)
    assert trained.weights_hash == iris.trained.weights_hash
    assert again.metrics == iris.evaluation.metrics


def test_images_in_two_folders_give_the_same_weights(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        workspace = workspace_in(tmp_path / name)
        split = save_split(workspace, write_digits(workspace, 60))
        built = build(digits_spec(epochs=1), split, workspace)
        trained = train(digits_spec(epochs=1), split, built, workspace, Untracked())
        hashes.add(trained.weights_hash)
        assert str(tmp_path) not in (workspace.path(built.config)).read_text()
    assert len(hashes) == 1


def test_another_seed_gives_other_weights(iris: Chain, tmp_path: Path) -> None:
    spec = iris_spec(seed=7)
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, iris.rows)
    trained = train(spec, split, build(spec, split, workspace), workspace, Untracked())
    assert trained.weights_hash != iris.trained.weights_hash


def test_each_epoch_is_told_with_the_figures_of_three_splits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener, spec, workspace = Listener(), short_spec(), workspace_in(tmp_path)
    split = save_split(workspace, iris_rows())
    with caplog.at_level(logging.INFO, logger="modelyard"):
        train(spec, split, build(spec, split, workspace), workspace, listener)
    assert [(number, total) for number, total, _ in listener.epochs] == [(1, 2), (2, 2)]
    for _, _, figures in listener.epochs:
        assert {f"{part}/species.loss" for part in ("train", "validation", "test")} <= set(figures)
        assert {"learning_rate", "batch_seconds", "epoch_seconds"} <= set(figures)
        assert all(type(value) is float for value in figures.values())
    assert any(text.startswith("epoch 2/2  species.") for text in caplog.messages)


def short_spec() -> Spec:
    model = dict(iris_spec().model) | {"trainer": {"epochs": 2, "batch_size": 32}}
    return iris_spec(model=model)


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C is heard, also where a shell started the tests in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_ends_the_training_and_leaves_nothing_that_looks_trained(tmp_path: Path) -> None:
    spec, workspace = short_spec(), workspace_in(tmp_path)
    split = save_split(workspace, iris_rows())
    built = build(spec, split, workspace)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(spec, split, built, workspace, Interrupted())
    assert signal.getsignal(signal.SIGINT) is handler
    assert not list((workspace.home / "stages" / "train").rglob("artifact.json"))
    assert train(spec, split, built, workspace, Untracked()).epochs == 2


def test_a_training_can_run_beside_the_main_thread(tmp_path: Path) -> None:
    spec, workspace = short_spec(), workspace_in(tmp_path)
    split = save_split(workspace, iris_rows())
    built, results = build(spec, split, workspace), []
    worker = threading.Thread(
        target=lambda: results.append(train(spec, split, built, workspace, Untracked()))
    )
    worker.start()
    worker.join()
    assert results[0].epochs == 2


def test_the_environment_is_left_as_it_was(iris: Chain) -> None:
    assert iris.trained.epochs == 6
    assert os.environ.get("PYTHONHASHSEED") in {None, "0", "random"}


def test_the_epoch_that_was_kept_is_the_best_on_validation(iris: Chain) -> None:
    folder = iris.workspace.path(iris.trained.model).parent
    history = pd.DataFrame(json.loads((folder / "history.json").read_text()))
    best = history.set_index("epoch")["validation/species.accuracy_macro"]
    assert best[iris.trained.best_epoch] == best.max()


def test_a_broken_image_is_an_error_and_not_a_grey_square(tmp_path: Path) -> None:
    spec, workspace = digits_spec(epochs=1), workspace_in(tmp_path)
    split = save_split(workspace, write_digits(workspace, 60))
    (workspace.path(split.folder) / "images" / "5.png").write_bytes(b"no image")
    with pytest.raises(TrainingError, match="Unable to read image"):
        train(spec, split, build(spec, split, workspace), workspace, Untracked())


def test_the_model_folder_holds_only_what_a_model_needs(iris: Chain) -> None:
    names = {file.name for file in iris.workspace.path(iris.trained.model).iterdir()}
    assert names == {
        "columns.json",
        "model_hyperparameters.json",
        "model_weights.safetensors",
        "training_set_metadata.json",
    }
