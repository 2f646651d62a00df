"""One trial of a search: a configuration, trained where the pool has room, followed to its score."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import SplitData
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.config import resolve
from modelyard.training.divide import divide, known_rows
from modelyard.training.engine import engine
from modelyard.training.fit import try_out
from modelyard.training.metrics import COMBINED_LOSS
from modelyard.training.pool import Say
from modelyard.training.rows import SPLIT, TEST, VALIDATION, read_rows
from modelyard.training.search import Memory, Reporter
from modelyard.training.space import place
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

EPOCH, FOLD = "epoch", "fold"


class Hopeless(TrainingError):  # noqa: N818 - reads as what happened
    """The scheduler stops this trial; not a failure."""


@dataclass(frozen=True, slots=True)
class TrialJob:
    """What a pool runs for one trial; returns its state, score and number of epochs."""

    spec: Spec
    split: SplitData
    workspace: Workspace
    memory: Memory
    number: int
    parameters: dict[str, JsonValue]

    def __call__(self, say: Say) -> JsonValue:
        """Train, here, and say each epoch."""
        with engine(self.spec.resources, "build the trial's model"):
            model = place(self.spec.model, self.parameters)
            config = resolve(self.spec, model, workspace=self.workspace)
        follower = _Follower(self, say)
        with tempfile.TemporaryDirectory(dir=self.memory.folder, prefix="trial-") as scratch:
            try:
                score = self._score(config, Path(scratch), follower)
            except Hopeless:
                return {"stopped": True, "score": follower.last, "epochs": follower.epochs}
        return {"stopped": False, "score": score, "epochs": follower.epochs}

    def _score(self, config: dict[str, JsonValue], scratch: Path, follower: _Follower) -> float:
        if self.memory.tune.folds is None:
            best = try_out(
                self.spec,
                config,
                lambda: read_rows(self.spec, self.split, self.workspace),
                scratch,
                follower.epoch,
                data_key=self.split.key,
            )
            return score_of(best, self.memory.tune.metric)
        return self._mean_over_folds(config, scratch, follower, self.memory.tune.folds)

    def _mean_over_folds(
        self, config: dict[str, JsonValue], scratch: Path, follower: _Follower, count: int
    ) -> float:
        """Each fold's held-out part is its validation split; the others train."""
        rows = known_rows(self.spec, self.split, self.workspace)
        scores: list[float] = []
        for number, divided in enumerate(divide(self.spec, rows, count, 0)):
            best = try_out(
                self.spec,
                config,
                _as_validation(divided),
                scratch / str(number),
                follower.epoch_of_a_fold,
                data_key=f"{self.split.key}/{number}/{count}",
            )
            scores.append(score_of(best, self.memory.tune.metric))
            follower.fold(number + 1, statistics.fmean(scores))
        return statistics.fmean(scores)


def _as_validation(divided: DataFrame) -> Callable[[], DataFrame]:
    return lambda: divided.assign(**{SPLIT: divided[SPLIT].replace(TEST, VALIDATION)})


class _Follower:
    """Says what a trial does, and stops it where the search has no hope for it."""

    def __init__(self, job: TrialJob, say: Say) -> None:
        self.epochs = 0
        self.last: float | None = None
        self._metric = job.memory.tune.metric
        self._say = say
        self._reporter = (
            Reporter(job.memory, job.number) if job.memory.tune.scheduler is not None else None
        )

    def epoch(self, number: int, total: int, figures: dict[str, float]) -> None:
        self.epochs += 1
        value = score_of(figures, self._metric)
        self._say({EPOCH: number, "total": total, "figures": dict(figures)})
        self._ask(number, value, total)

    def epoch_of_a_fold(self, number: int, total: int, figures: dict[str, float]) -> None:
        del number, total
        self.epochs += 1
        score_of(figures, self._metric)

    def fold(self, number: int, mean: float) -> None:
        self._say({FOLD: number, "figures": {"mean": mean}})
        self._ask(number, mean, None)

    def _ask(self, step: int, value: float, last: int | None) -> None:
        self.last = value
        if self._reporter is not None and self._reporter.is_hopeless(step, value) and step != last:
            message = f"stopped after {step}"
            raise Hopeless(message)


def score_of(figures: dict[str, float], metric: str | None) -> float:
    """The metric on the validation split.

    Raises:
        TrainingError: there is none.
    """
    wanted = metric or COMBINED_LOSS
    score = figures.get(f"validation/{wanted}")
    if score is None:
        known = sorted(
            name.removeprefix("validation/") for name in figures if name.startswith("validation/")
        )
        message = f"there is no {wanted} on the validation split"
        raise TrainingError(message, hint=f"there are {', '.join(known) or 'no validation rows'}")
    return score


@dataclass(frozen=True, slots=True)
class ResolveJob:
    """What a pool runs to write out every default of a configuration."""

    spec: Spec
    parameters: dict[str, JsonValue]
    workspace: Workspace

    def __call__(self, say: Say) -> JsonValue:
        """Return Ludwig's full configuration."""
        del say
        with engine(self.spec.resources, f"build the best model of {self.spec.name}"):
            model = place(self.spec.model, self.parameters)
            return resolve(self.spec, model, workspace=self.workspace)
