"""A search without Ludwig: a pool that knows each trial's score from its parameters.

Run as a program it searches in a folder and is killed in the middle:
`python -m tests.training.searching FOLDER SEARCH KILL_AFTER`.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import JsonValue

from modelyard.artifacts import BuiltModel, TunedModel
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.log import TrainingLog, Untracked
from modelyard.training.pool import Call, Say
from modelyard.training.search import Reporter
from modelyard.training.trial import ResolveJob, TrialJob
from modelyard.training.tune import tune
from tests.training.samples import iris_spec, save_split, workspace_in

EPOCHS = 9
PARAMETERS: dict[str, Any] = {
    "trainer.learning_rate": {"space": "loguniform", "lower": 1e-4, "upper": 1},
    "combiner.output_size": {"space": "int", "lower": 4, "upper": 12, "step": 4},
    "trainer.optimizer": {
        "space": "choice",
        "categories": [{"type": "adam"}, {"type": "sgd", "momentum": 0.9}, "broken"],
    },
}
GRID = {key: PARAMETERS[key] for key in ("combiner.output_size", "trainer.optimizer")}


def score(parameters: dict[str, Any], epoch: int = EPOCHS) -> float:
    """Fall from epoch to epoch towards what the parameters are worth."""
    rate = parameters.get("trainer.learning_rate", 0.1)
    sgd = parameters["trainer.optimizer"]["type"] == "sgd"
    return float(abs(rate - 0.1) + sgd / 2 + parameters["combiner.output_size"] / 50 + 1 / epoch)


@dataclass
class Oracle:
    """Knows the scores; kills this program, or stops it, when it has seen so many trials."""

    kill_after: int | None = None
    size: int = 1
    seen: list[int] = field(default_factory=list)

    def run(self, call: Call, listen: Say) -> JsonValue:
        """Answer for Ludwig."""
        if isinstance(call, ResolveJob):
            return dict(call.parameters)
        assert isinstance(call, TrialJob)
        self.seen.append(call.number)
        if call.parameters["trainer.optimizer"] == "broken":
            message = "no such optimizer"
            raise TrainingError(message)
        return self._train(call, listen)

    def stop(self) -> None:
        """There is nothing to stop."""

    def _train(self, call: TrialJob, listen: Say) -> JsonValue:
        reporter = Reporter(call.memory, call.number)
        value = 0.0
        for epoch in range(1, EPOCHS + 1):
            value = score(call.parameters, epoch)
            listen({"epoch": epoch, "total": EPOCHS, "figures": {"validation/loss": value}})
            if reporter.is_hopeless(epoch, value):
                return {"stopped": True, "score": value, "epochs": epoch}
            if self.kill_after is not None and len(self.seen) > self.kill_after and epoch > 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return {"stopped": False, "score": value, "epochs": EPOCHS}


def spec_for(search: str = "tpe", trials: int = 12, **changes: Any) -> Spec:
    """A spec with a section tune."""
    parameters = GRID if search == "grid" else PARAMETERS
    section = {"search": search, "trials": trials, "parameters": parameters} | changes
    return iris_spec(tune=section)


def search_in(
    folder: Path, spec: Spec, pool: Any = None, tracked: TrainingLog | None = None
) -> TunedModel:
    """Go through the stage `tune` in a folder."""
    workspace = workspace_in(folder)
    split = save_split(workspace, pd.DataFrame({"split": [0, 1, 2]}))
    built = BuiltModel(key="built", config="model.json", config_hash="1" * 64)
    return tune(spec, split, built, workspace, tracked or Untracked(), pool or Oracle())


def bare(tuned: TunedModel) -> list[tuple[object, ...]]:
    """What two searches are compared by."""
    return [(t.number, str(t.parameters), t.score, t.state, t.epochs) for t in tuned.trials]


if __name__ == "__main__":
    search_in(Path(sys.argv[1]), spec_for(sys.argv[2]), Oracle(kill_after=int(sys.argv[3])))
