"""Early stopping that only counts changes of a size.

Import this inside functions only: it imports Ludwig.
"""

from __future__ import annotations

from typing import Any

from ludwig.callbacks import Callback


class Patience(Callback):  # type: ignore[misc]  # Ludwig has no types
    """Stops after `trainer.early_stop` evaluations that were no better by more than `min_delta`.

    Ludwig's own patience goes on counting beside it, and the weights of the very best epoch are
    kept, however little better it was.
    """

    def __init__(self, min_delta: float) -> None:
        self._min_delta = min_delta
        self._best: float | None = None
        self._waited = 0

    def should_early_stop(self, trainer: Any, progress_tracker: Any, *_args: Any) -> bool:
        """Count the evaluation that has just been made."""
        if self._min_delta <= 0 or trainer.early_stop <= 0:
            return False
        metrics = progress_tracker.validation_metrics[trainer.validation_field]
        value = float(metrics[trainer.validation_metric][-1][-1])
        if self._is_better(value, trainer.validation_metric):
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        return bool(self._waited >= trainer.early_stop)

    def _is_better(self, value: float, metric: str) -> bool:
        from ludwig.constants import MINIMIZE
        from ludwig.modules.metric_registry import get_metric_objective

        if self._best is None:
            return True
        gain = value - self._best
        if get_metric_objective(metric) == MINIMIZE:
            gain = -gain
        return gain > self._min_delta

    def state(self) -> tuple[float | None, int]:
        """What a training that goes on later must know."""
        return self._best, self._waited

    def restore(self, state: tuple[float | None, int]) -> None:
        """Go on from there."""
        self._best, self._waited = state
