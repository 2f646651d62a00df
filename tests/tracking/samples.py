"""Artifacts as training leaves them, without a training: tracking only copies the files."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from modelyard.artifacts import Evaluation, GateResult, SplitData, TrainedModel
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.tracking.evaluations import log_evaluation
from modelyard.tracking.runs import open_run
from modelyard.workspace import Workspace

START_SECONDS = 150


@dataclass(frozen=True, slots=True)
class Made:
    """What `register` takes."""

    split: SplitData
    trained: TrainedModel
    evaluation: Evaluation


def workspace_in(folder: Path, **settings: Any) -> Workspace:
    """A workspace with its home in a folder; without an estimate of energy, which takes seconds."""
    values = {"energy_country": "off", "MODELYARD_HOME": folder / "home", **settings}
    return Workspace(Settings(project=folder, **values))


def spec(**changes: Any) -> Spec:
    """A spec of two columns."""
    content: dict[str, Any] = {
        "name": "flowers",
        "description": "Which flower it is.",
        "data": {"path": "data/flowers.csv"},
        "model": {
            "input_features": [{"name": "width", "type": "number"}],
            "output_features": [{"name": "label", "type": "category"}],
            "trainer": {"epochs": 2},
        },
    }
    return Spec.model_validate(content | changes)


def make(
    workspace: Workspace,
    key: str = "one",
    accuracy: float = 0.9,
    predictions: pd.DataFrame | None = None,
    data_hash: str = "d" * 64,
) -> Made:
    """Track a pretended training of two epochs and its evaluation."""
    split = _split(workspace, data_hash)
    with open_run(spec(), workspace, run=f"run-{key}") as log:
        log.begin(key, {"data_hash": split.content_hash})
        log.params({"model": spec().model})
        for number in (1, 2):
            log.epoch(number, 2, {"epoch": number, "train/label.loss": 1 / number})
    trained = _trained(workspace, key, log.run_id)
    evaluation = _evaluation(workspace, key, accuracy)
    if predictions is not None:
        predictions.to_parquet(workspace.path(evaluation.predictions))
    for artifact in (split, trained, evaluation):
        folder = {"split": "s"}.get(artifact.stage, key)
        file = workspace.home / "stages" / artifact.stage / folder / "artifact.json"
        file.write_text(artifact.model_dump_json())
    log_evaluation(workspace, trained, evaluation)
    return Made(split, trained, evaluation)


def answers(wrong: Sequence[int] = (), rows: int = 40) -> pd.DataFrame:
    """Predictions of labels that are right but for some rows."""
    truth = ["rose", "lily"] * (rows // 2)
    other = {"rose": "lily", "lily": "rose"}
    guess = [other[label] if row in wrong else label for row, label in enumerate(truth)]
    columns = {"row": range(rows), "label.truth": truth, "label.prediction": guess}
    return pd.DataFrame({**columns, "label.probability": 0.9})


def _split(workspace: Workspace, data_hash: str) -> SplitData:
    folder = workspace.home / "stages" / "split" / "s"
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    (folder / "reference" / "profile.bin").write_bytes(b"profile")
    return SplitData(
        key="s",
        table="stages/split/s/table.parquet",
        folder="stages/split/s",
        rows=(6, 2, 2),
        content_hash=data_hash,
        reference="stages/split/s/reference",
    )


def _trained(workspace: Workspace, key: str, run_id: str) -> TrainedModel:
    folder = workspace.home / "stages" / "train" / key
    (folder / "model").mkdir(parents=True, exist_ok=True)
    save_file({"w": np.ones(3)}, folder / "model" / "model_weights.safetensors")
    (folder / "signature.json").write_text('{"inputs": [], "outputs": []}')
    return TrainedModel(
        key=key,
        model=f"stages/train/{key}/model",
        mlflow_run=run_id,
        weights_hash="w" * 64,
        epochs=2,
        best_epoch=2,
        parameters=3,
        seconds=1.0,
    )


def _evaluation(workspace: Workspace, key: str, accuracy: float) -> Evaluation:
    folder = workspace.home / "stages" / "evaluate" / key
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "plots" / "label_curves.png").write_bytes(b"png")
    passed = accuracy >= 0.5
    rule = GateResult(rule="label.accuracy", value=accuracy, threshold=0.5, passed=passed)
    return Evaluation(
        key=key,
        metrics={"label.accuracy": accuracy},
        predictions=f"stages/evaluate/{key}/predictions.parquet",
        passed=passed,
        gate=(rule,),
    )


class Server:
    """A real MLflow server that can be killed and started again on the same port."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "server.log"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"),
            *("--port", str(self.port), "--no-serve-artifacts"),
            *("--backend-store-uri", workspace.settings.tracking_uri),
            *("--default-artifact-root", str(workspace.settings.artifact_root)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the processes; they answer some seconds later."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it answers."""
        limit = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < limit, self._log.read_text()
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()

    def kill(self) -> None:
        """Kill it and its workers, as a machine that fails does."""
        import os
        import signal

        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=1) as answer:  # noqa: S310 - our own server
                return answer.status == 200
        except (URLError, OSError):
            return False
