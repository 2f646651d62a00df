"""One training: a configuration and rows to weights. Trials and folds use it too."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelyard.spec.models import Spec
from modelyard.training.engine import engine
from modelyard.training.metrics import categories
from modelyard.training.prepare import prepared

if TYPE_CHECKING:
    from pandas import DataFrame

    from modelyard.training.watch import Report, Watch

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
        return best_of(self.history, self.best_epoch)


def best_of(history: tuple[dict[str, float], ...], epoch: int) -> dict[str, float]:
    """The figures of an epoch; empty if it is not in the history."""
    return next((figures for figures in history if figures["epoch"] == epoch), {})


def fit(  # noqa: PLR0913 - what is trained, on what, where to, and who hears of it
    spec: Spec,
    config: dict[str, JsonValue],
    rows: DataFrame,
    folder: Path,
    report: Report,
    *,
    checkpoints: Path | None = None,
) -> Fitted:
    """Train a configuration on rows with a split column; the model comes to `folder/model`.

    With `checkpoints`, a folder that the caller removes when all is done, a training that was
    killed goes on from its last whole epoch and gives the same weights on a CPU.

    Raises:
        TrainingError: Ludwig cannot train it.
    """
    began = time.perf_counter()
    with _training(spec, config, report, checkpoints) as training:
        data = prepared(training.model, spec, lambda: rows)
        training.model.train(**data, **_where(folder), random_seed=spec.seed)
        parameters = sum(p.numel() for p in training.model.model.parameters() if p.requires_grad)
        watch, before = training.watch, training.seconds_before
    return Fitted(
        model=_keep_the_model(folder),
        history=tuple(watch.history),
        epochs=len(watch.history),
        best_epoch=watch.best_epoch,
        parameters=parameters,
        seconds=before + time.perf_counter() - began,
    )


def try_out(  # noqa: PLR0913 - as `fit`
    spec: Spec,
    config: dict[str, JsonValue],
    read: Callable[[], DataFrame],
    folder: Path,
    report: Report,
    *,
    data_key: str,
) -> dict[str, float]:
    """Train for the figures alone: the best epoch's; no weights are written.

    The preprocessed rows are kept in this process for the next configuration that treats the
    rows of the same `data_key` in the same way, so `read` is called only where it must be.

    Raises:
        TrainingError: Ludwig cannot train it.
    """
    with _training(spec, config, report, None) as training:
        data = prepared(training.model, spec, read, data_key)
        training.model.train(**data, **_where(folder), random_seed=spec.seed, skip_save_model=True)
    return best_of(tuple(training.watch.history), training.watch.best_epoch)


@dataclass(slots=True)
class _Training:
    model: Any
    watch: Watch
    checkpoints: Any

    @property
    def seconds_before(self) -> float:
        return 0.0 if self.checkpoints is None else float(self.checkpoints.seconds_before)


@contextmanager
def _training(
    spec: Spec, config: dict[str, JsonValue], report: Report, checkpoints: Path | None
) -> Iterator[_Training]:
    """An untrained model with all that follows its training."""
    with engine(spec.resources, f"train {spec.name}") as ludwig:
        from modelyard.training.checkpoints import Checkpoints, Followers
        from modelyard.training.patience import Patience
        from modelyard.training.watch import Watch

        watch, patience = Watch(report, categories(spec)), Patience(spec.training.min_delta)
        callbacks: list[Any] = [watch, patience]
        keeper = None
        if checkpoints is not None and spec.training.checkpoints and not _has_soup(config):
            keeper = Checkpoints(checkpoints, Followers(watch, patience))
            callbacks.append(keeper)
        yield _Training(ludwig.create(config, callbacks=callbacks), watch, keeper)


def _has_soup(config: dict[str, JsonValue]) -> bool:
    """Say if weights of several epochs are mixed at the end, which checkpoints do not keep."""
    trainer = config.get("trainer")
    return isinstance(trainer, dict) and bool(trainer.get("model_soup"))


def _where(folder: Path) -> dict[str, Any]:
    return {
        "output_directory": str(folder / "ludwig"),
        "experiment_name": "fit",
        "model_name": "",
        "skip_save_processed_input": True,
        "skip_save_progress": True,
        "skip_save_log": True,
    }


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
