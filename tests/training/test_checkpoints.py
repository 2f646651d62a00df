"""A training that was killed goes on and ends as an unbroken one; patience counts real changes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.spec.models import Spec, TrainingSpec
from modelyard.training.fit import Fitted
from modelyard.training.weights import weights_hash
from tests.training.drill import EPOCHS, drill, drilled_spec

pytestmark = pytest.mark.heavy
ROOT = Path(__file__).parents[2]


def unheard(*_: Any) -> None:
    """Follow no epoch."""


def figures(fitted: Fitted) -> list[dict[str, float]]:
    """The history without the clock's figures."""
    return [
        {name: value for name, value in epoch.items() if not name.endswith("_seconds")}
        for epoch in fitted.history
    ]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return drill(tmp_path_factory.mktemp("unbroken"), unheard, keep=False)


def test_a_killed_training_ends_with_the_same_weights_and_figures(
    unbroken: Fitted, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.training.drill", str(tmp_path), "4"]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=200)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    shutil.rmtree(tmp_path / "work")  # as a stage's folder is begun anew
    heard: list[int] = []
    resumed = drill(tmp_path, lambda number, *_: heard.append(number))
    assert heard == list(range(1, EPOCHS + 1)), "also what was not heard before is told"
    assert figures(resumed) == figures(unbroken)
    assert weights_hash(resumed.model) == weights_hash(unbroken.model)
    assert resumed.best_epoch == unbroken.best_epoch


class Stop(Exception):  # noqa: N818 - what a report raises
    """Ends a training from outside."""


def test_a_training_that_was_done_is_not_trained_further(unbroken: Fitted, tmp_path: Path) -> None:
    first = drill(tmp_path, unheard)
    shutil.rmtree(tmp_path / "work")
    again = drill(tmp_path, unheard)
    assert figures(again) == figures(first) == figures(unbroken)
    assert weights_hash(again.model) == weights_hash(first.model)
    assert again.seconds >= first.seconds


def test_a_broken_checkpoint_begins_the_training_anew(unbroken: Fitted, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "state.pt").write_bytes(b"half a file")
    assert weights_hash(drill(tmp_path, unheard).model) == weights_hash(unbroken.model)


def test_without_checkpoints_nothing_is_kept(tmp_path: Path) -> None:
    spec = drilled_spec().model_copy(update={"training": TrainingSpec(checkpoints=False)})
    drill(tmp_path, unheard, spec)
    assert not (tmp_path / "kept").exists()


def improving(values: list[float], *, min_delta: float, early_stop: int) -> list[bool]:
    """Ask the patience after each evaluation."""
    from modelyard.training.patience import Patience

    patience, answers = Patience(min_delta), []
    trainer = SimpleNamespace(
        early_stop=early_stop, validation_field="y", validation_metric="accuracy"
    )
    for value in values:
        metrics = {"y": {"accuracy": [(0, 0, value)]}}
        progress = SimpleNamespace(validation_metrics=metrics)
        answers.append(patience.should_early_stop(trainer, progress, True))
    return answers


@pytest.mark.parametrize(
    ("values", "min_delta", "early_stop", "expected"),
    [
        ([0.5, 0.505, 0.509, 0.6], 0.01, 2, [False, False, True, False]),
        ([0.5, 0.505, 0.52, 0.525], 0.01, 2, [False, False, False, False]),
        ([0.5, 0.505, 0.509], 0, 2, [False, False, False]),
        ([0.5, 0.4, 0.3], 0.01, -1, [False, False, False]),
    ],
)
def test_only_changes_above_the_minimum_count(
    values: list[float], min_delta: float, early_stop: int, expected: list[bool]
) -> None:
    assert improving(values, min_delta=min_delta, early_stop=early_stop) == expected


def patient(min_delta: float) -> Spec:
    model: Any = dict(drilled_spec().model)
    model["trainer"] = {"epochs": EPOCHS, "batch_size": 16, "early_stop": 2}
    training = TrainingSpec(min_delta=min_delta, checkpoints=False)
    return drilled_spec().model_copy(update={"model": model, "training": training})


def test_a_training_stops_where_nothing_changes_enough(tmp_path: Path) -> None:
    assert drill(tmp_path, unheard, patient(10)).epochs == 3
