"""The stage `cross_validate`: how stable the model is over different training data."""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import JsonValue, TypeAdapter

from modelyard.artifacts import BuiltModel, CrossValidation, SplitData, TunedModel
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.divide import divide, known_rows
from modelyard.training.fit import fit
from modelyard.training.log import TrainingLog
from modelyard.training.measure import measure
from modelyard.training.pool import Pool, Say, side_by_side
from modelyard.training.rows import TRAIN, VALIDATION
from modelyard.training.signature import write_columns
from modelyard.training.train import depends_on
from modelyard.workspace import Workspace, write_atomically

FOLDS = "folds.json"
FIGURES = TypeAdapter(dict[str, float])
log = logging.getLogger(__name__)


def cross_validate(  # noqa: PLR0913, PLR0917 - what is trained, what with, and who hears of it
    spec: Spec,
    split: SplitData,
    built: BuiltModel | TunedModel,
    workspace: Workspace,
    tracked: TrainingLog,
    pool: Pool,
) -> CrossValidation:
    """Train once a fold and measure on the part held out; the test rows are never looked at.

    A cross-validation that was killed keeps the folds that had ended.

    Raises:
        TrainingError: there are too few rows, or a training failed.
        TrackingError: MLflow cannot be reached for a minute.
    """
    if spec.cross_validation is None:
        message = f"{spec.name} has no section cross_validation"
        raise TrainingError(message)
    count = spec.cross_validation.folds
    most = spec.cross_validation.parallel

    def make(folder: Path, key: str) -> CrossValidation:
        tracked.begin(key, {"data_hash": split.content_hash, "config_hash": built.config_hash})
        tracked.params({"folds": count, "seed": spec.seed})
        folds = Folds(tracked, key, count)
        jobs = [
            FoldJob(spec, split, built.config, workspace, number, count, workspace.kept(key))
            for number in range(count)
        ]
        done = side_by_side(pool, [lambda j=job: folds.run(j, pool) for job in jobs], most)  # type: ignore[misc]  # j is bound now
        result = summary(key, tuple(done), tracked.run_id)
        write_atomically(folder / FOLDS, result.model_dump_json(indent=2) + "\n")
        _note(tracked, result, folder / FOLDS)
        return result

    return workspace.once(CrossValidation, [depends_on(spec, split, built), count], make)


@dataclass(frozen=True, slots=True)
class FoldJob:
    """What a pool runs for one fold; returns the metrics of the part held out."""

    spec: Spec
    split: SplitData
    config: str
    workspace: Workspace
    number: int
    count: int
    kept: Path

    @property
    def result(self) -> Path:
        """Where the metrics are kept until all folds are done."""
        return self.kept / f"fold-{self.number}.json"

    def __call__(self, say: Say) -> JsonValue:
        """Train and measure, here, and say each epoch.

        One that goes on where its coordinator was killed is waited for, not overtaken.
        """
        self.kept.mkdir(parents=True, exist_ok=True)
        with FileLock(self.kept / f"fold-{self.number}.lock"):
            if self.result.exists():
                return dict(FIGURES.validate_json(self.result.read_bytes()))
            return dict(self._train(say))

    def _train(self, say: Say) -> dict[str, float]:
        def report(number: int, total: int, figures: dict[str, float]) -> None:
            say({"epoch": number, "total": total, "figures": dict(figures)})

        config = json.loads(self.workspace.path(self.config).read_bytes())
        rows = known_rows(self.spec, self.split, self.workspace)
        trained, validated = self.split.rows[TRAIN], self.split.rows[VALIDATION]
        share = validated / max(1, trained + validated)
        divided = divide(self.spec, rows, self.count, share)[self.number]
        with tempfile.TemporaryDirectory(dir=self.kept, prefix="fold-") as scratch:
            folder, checkpoints = Path(scratch), self.kept / f"fold-{self.number}"
            fitted = fit(self.spec, config, divided, folder, report, checkpoints=checkpoints)
            write_columns(self.spec, divided, fitted.model)
            metrics = measure(self.spec, fitted.model, divided).metrics
        write_atomically(self.result, json.dumps(metrics))
        return metrics


class Folds:
    """Runs folds in a pool, tracks each and says how many are done."""

    def __init__(self, tracked: TrainingLog, key: str, count: int) -> None:
        self._tracked = tracked
        self._key = key
        self._count = count
        self._done = 0
        self._lock = threading.Lock()

    def run(self, job: FoldJob, pool: Pool) -> dict[str, float]:
        """Run one fold, unless an interrupted cross-validation had done it."""
        if job.result.exists():
            metrics = FIGURES.validate_json(job.result.read_bytes())
        else:
            name = f"fold-{job.number + 1}"
            log.info("fold %d/%d  number %d begins", self._done, self._count, job.number + 1)
            with self._tracked.child(name, f"{self._key}/{name}") as run:
                metrics = FIGURES.validate_python(pool.run(job, _listener(run)))
                run.metrics(metrics)
        self._tell(job.number + 1, metrics)
        return metrics

    def _tell(self, number: int, metrics: dict[str, float]) -> None:
        """Say in the log how many folds are done; they need not end in their order."""
        shown = [f"{k} {v:.4g}" for k, v in sorted(metrics.items()) if not k.startswith("combined")]
        with self._lock:
            self._done += 1
            text = "  ".join(shown[:4])
            log.info("fold %d/%d  number %d  %s", self._done, self._count, number, text)


def _listener(run: TrainingLog) -> Say:
    def listen(message: dict[str, JsonValue]) -> None:
        figures: Any = message["figures"]
        run.epoch(int(str(message["epoch"])), int(str(message["total"])), figures)

    return listen


def summary(key: str, folds: tuple[dict[str, float], ...], run: str = "") -> CrossValidation:
    """Mean and standard deviation of the metrics that every fold has."""
    names = sorted(set.intersection(*(set(fold) for fold in folds)))
    columns = {name: [fold[name] for fold in folds] for name in names}
    return CrossValidation(
        key=key,
        folds=folds,
        mean={name: statistics.fmean(values) for name, values in columns.items()},
        std={name: statistics.stdev(values) for name, values in columns.items()},
        mlflow_run=run,
    )


def _note(tracked: TrainingLog, result: CrossValidation, file: Path) -> None:
    tracked.artifact(file)
    tracked.metrics({f"mean/{name}": value for name, value in result.mean.items()})
    tracked.metrics({f"std/{name}": value for name, value in result.std.items()})
    for number, fold in enumerate(result.folds, 1):
        tracked.metrics({f"fold/{name}": value for name, value in fold.items()}, step=number)
