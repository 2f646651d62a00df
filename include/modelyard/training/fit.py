"""One training: a configuration and rows to weights. Trials and folds use it too."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.spec.models import Spec
from modelyard.training.engine import engine
from modelyard.training.metrics import categories

if TYPE_CHECKING:
    from pandas import DataFrame

    from modelyard.training.watch import Report

MODEL = "model"
LEFT_OVERS = ("training_checkpoints", "logs", "llm_eval_examples", "training_progress.json")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model and how it came about."""

    model: Path
    history: tuple[dict[str, float], ...]
    epochs: int
    best_epoch: int
    parameters: int
    seconds: float

    @property
    def best(self) -> dict[str, float]:
        """The figures of the epoch whose weights were kept."""
        return next(
            (figures for figures in self.history if figures["epoch"] == self.best_epoch), {}
        )


def fit(
    spec: Spec,
    config: dict[str, JsonValue],
    rows: DataFrame,
    folder: Path,
    report: Report,
) -> Fitted:
    """Train a configuration on rows with a split column; the model comes to `folder/model`.

    Raises:
        TrainingError: Ludwig cannot train it.
    """
    began = time.perf_counter()
    with engine(spec.resources, f"train {spec.name}") as ludwig:
        from modelyard.training.watch import Watch

        watch = Watch(report, categories(spec))
        model = ludwig.create(config, callbacks=[watch])
        model.train(
            dataset=rows.copy(),
            output_directory=str(folder / "ludwig"),
            experiment_name="fit",
            model_name="",
            random_seed=spec.seed,
            skip_save_processed_input=True,
            skip_save_progress=True,
            skip_save_log=True,
        )
        parameters = sum(p.numel() for p in model.model.parameters() if p.requires_grad)
    destination = _keep_the_model(folder)
    return Fitted(
        model=destination,
        history=tuple(watch.history),
        epochs=len(watch.history),
        best_epoch=watch.best_epoch,
        parameters=parameters,
        seconds=time.perf_counter() - began,
    )


def _keep_the_model(folder: Path) -> Path:
    """Move Ludwig's model to its place and leave out what only a running training needs."""
    destination = folder / MODEL
    shutil.move(folder / "ludwig" / "fit" / "model", destination)
    shutil.rmtree(folder / "ludwig")
    for name in LEFT_OVERS:
        left_over = destination / name
        if left_over.is_dir():
            shutil.rmtree(left_over)
        else:
            left_over.unlink(missing_ok=True)
    for weights in destination.glob("*.safetensors"):
        weights.chmod(0o644)  # written for the owner alone, and MLflow copies the mode
    return destination
