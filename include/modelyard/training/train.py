"""The stage `train`: the real training, followed epoch by epoch."""

from __future__ import annotations

import json
import logging
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from modelyard.artifacts import BuiltModel, SplitData, TrainedModel, TunedModel
from modelyard.spec.models import Spec
from modelyard.training.fit import Fitted, fit
from modelyard.training.log import TrainingLog
from modelyard.training.rows import SPLIT, TRAIN, read_rows
from modelyard.training.signature import describe, write_columns
from modelyard.training.weights import weights_hash
from modelyard.workspace import Workspace, write_atomically

HISTORY = "history.json"
SIGNATURE = "signature.json"
SHOWN = 4
log = logging.getLogger(__name__)


def train(
    spec: Spec,
    split: SplitData,
    built: BuiltModel | TunedModel,
    workspace: Workspace,
    tracked: TrainingLog,
) -> TrainedModel:
    """Train the configuration; the same spec, data and seed give the same weights on a CPU.

    Raises:
        TrainingError: Ludwig cannot train it, or an image is missing.
        TrackingError: MLflow cannot be reached for a minute.
    """

    def make(folder: Path, key: str) -> TrainedModel:
        config = workspace.path(built.config)
        tracked.begin(key, {"data_hash": split.content_hash, "config_hash": built.config_hash})
        tracked.params(_asked(spec, json.loads(config.read_bytes())))
        tracked.artifact(config, "model_config")
        rows = read_rows(spec, split, workspace)
        fitted = fit(
            spec,
            json.loads(config.read_bytes()),
            rows,
            folder,
            _Reporter(tracked),
            checkpoints=workspace.kept(key),
        )
        write_columns(spec, rows[rows[SPLIT] == TRAIN], fitted.model)
        signature = describe(fitted.model).model_dump_json(indent=2)
        write_atomically(folder / SIGNATURE, signature + "\n")
        artifact = _artifact(fitted, key, workspace, tracked.run_id)
        _note(fitted, artifact, folder, tracked)
        return artifact

    return workspace.once(TrainedModel, depends_on(spec, split, built), make)


def depends_on(spec: Spec, split: SplitData, built: BuiltModel | TunedModel) -> JsonValue:
    """All that the weights depend on; threads too, since they change the order of sums."""
    return {
        "config": built.config_hash,
        "data": [split.key, split.content_hash],
        "seed": spec.seed,
        "cpus": max(1, int(spec.resources.cpus)),
        "gpu": spec.resources.gpus > 0,
        "min_delta": spec.training.min_delta,
        "statistics_of": "training rows",
        "torch": version("torch"),
        "name": spec.name,
    }


class _Reporter:
    """Tells each epoch to the run's log and to MLflow."""

    def __init__(self, tracked: TrainingLog) -> None:
        self._tracked = tracked

    def __call__(self, number: int, total: int, figures: dict[str, float]) -> None:
        shown = [
            f"{name.removeprefix('validation/')} {value:.4g}"
            for name, value in figures.items()
            if name.startswith("validation/") and not name.startswith("validation/combined")
        ]
        log.info("epoch %d/%d  %s", number, total, "  ".join(sorted(shown)[:SHOWN]))
        self._tracked.epoch(number, total, figures)


def _asked(spec: Spec, config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What was asked for, and what Ludwig's defaults made of the trainer and the combiner."""
    return {
        "model": spec.model,
        "seed": spec.seed,
        "resources": spec.resources.model_dump(mode="json"),
        "resolved": {part: config[part] for part in ("trainer", "combiner") if part in config},
    }


def _artifact(fitted: Fitted, key: str, workspace: Workspace, run_id: str) -> TrainedModel:
    return TrainedModel(
        key=key,
        model=workspace.relative(fitted.model),
        mlflow_run=run_id,
        weights_hash=weights_hash(fitted.model),
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        parameters=fitted.parameters,
        seconds=fitted.seconds,
    )


def _note(fitted: Fitted, artifact: TrainedModel, folder: Path, tracked: TrainingLog) -> None:
    history = folder / HISTORY
    write_atomically(history, json.dumps(fitted.history, indent=1) + "\n")
    tracked.artifact(history)
    tracked.metrics(
        {
            "best_epoch": float(artifact.best_epoch),
            "parameters": float(artifact.parameters),
            "training_seconds": artifact.seconds,
        },
        step=artifact.epochs,
    )
