"""A training that is killed after an epoch: `python -m tests.training.drill FOLDER EPOCH`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from modelyard.spec.models import Spec
from modelyard.training.config import resolve
from modelyard.training.engine import engine
from modelyard.training.fit import Fitted, fit
from tests.training.samples import iris_rows, iris_spec

EPOCHS = 6


def drilled_spec() -> Spec:
    """All that has a state of its own: dropout, batch norm, Adam, a schedule, patience."""
    schedule = {
        "decay": "exponential",
        "decay_rate": 0.8,
        "warmup_fraction": 0.1,
        "reduce_on_plateau": 2,
        "reduce_on_plateau_patience": 1,
    }
    trainer = {
        "epochs": EPOCHS,
        "batch_size": 16,
        "learning_rate": 0.02,
        "learning_rate_scheduler": schedule,
    }
    combiner = {"type": "concat", "num_fc_layers": 2, "output_size": 16, "dropout": 0.3}
    model = dict(iris_spec().model) | {"combiner": combiner | {"norm": "batch"}, "trainer": trainer}
    return iris_spec(model=model)


def drill(folder: Path, report: Any, spec: Spec | None = None, *, keep: bool = True) -> Fitted:
    """Train in a folder, with checkpoints beside it."""
    spec = spec or drilled_spec()
    with engine(spec.resources, "drill"):
        config = resolve(spec)
    kept = folder / "kept" if keep else None
    (folder / "work").mkdir(parents=True, exist_ok=True)
    return fit(spec, config, iris_rows(), folder / "work", report, checkpoints=kept)


def killed_after(last: int) -> Any:
    """A report that kills this program."""

    def report(number: int, total: int, figures: dict[str, float]) -> None:
        del total, figures
        if number == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return report


if __name__ == "__main__":
    drill(Path(sys.argv[1]), killed_after(int(sys.argv[2])))
