"""Ludwig's callback: figures of each epoch, and Ctrl-C as everywhere else.

Import this inside functions only: it imports Ludwig.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from ludwig.callbacks import Callback

from modelyard.training.metrics import flatten

Report = Callable[[int, int, dict[str, float]], None]
"""Takes an epoch's number, how many there are at most, and its figures; what it raises ends the training."""


class Watch(Callback):  # type: ignore[misc]  # Ludwig has no types
    """Collects the figures of each epoch and reports them."""

    def __init__(self, report: Report, categories: frozenset[str]) -> None:
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self._report = report
        self._categories = categories
        self._began = self._batch_began = 0.0
        self._batches: list[float] = []

    def on_trainer_train_setup(self, trainer: Any, *_args: Any, **_kwargs: Any) -> None:
        """Take Ctrl-C back from Ludwig, which would end early and call the model trained."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, trainer.original_sigint_handler)

    def restore(self, history: list[dict[str, float]], progress: Any, trainer: Any) -> None:
        """Report the epochs of an interrupted training again; the last may not have been heard."""
        self.best_epoch = int(progress.best_eval_metric_epoch) or len(history)
        for figures in history:
            self.history.append(figures)
            self._report(int(figures["epoch"]), math.ceil(trainer.epochs), figures)

    def on_epoch_start(self, *_args: Any, **_kwargs: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()
        self._batches = []

    def on_batch_start(self, *_args: Any, **_kwargs: Any) -> None:
        """Start the batch's clock."""
        self._batch_began = time.perf_counter()

    def on_batch_end(self, *_args: Any, **_kwargs: Any) -> None:
        """Stop the batch's clock."""
        self._batches.append(time.perf_counter() - self._batch_began)

    def on_epoch_end(
        self, trainer: Any, progress_tracker: Any, *_args: Any, **_kwargs: Any
    ) -> None:
        """Report the epoch; Ludwig has counted it already, so it counts from 1."""
        number = int(progress_tracker.epoch)
        self.best_epoch = int(progress_tracker.best_eval_metric_epoch) or number
        figures = {"epoch": float(number), **self._measured(progress_tracker), **self._times()}
        figures["learning_rate"] = float(progress_tracker.learning_rate)
        self.history.append(figures)
        self._report(number, math.ceil(trainer.epochs), figures)

    def _measured(self, tracker: Any) -> dict[str, float]:
        figures: dict[str, float] = {}
        for split in ("train", "validation", "test"):
            latest = {
                output: {name: values[-1][-1] for name, values in metrics.items() if values}
                for output, metrics in getattr(tracker, f"{split}_metrics").items()
            }
            for name, value in flatten(latest, self._categories).items():
                figures[f"{split}/{name}"] = value
        return figures

    def _times(self) -> dict[str, float]:
        batches = self._batches or [0.0]
        return {
            "batch_seconds": sum(batches) / len(batches),
            "epoch_seconds": time.perf_counter() - self._began,
        }
