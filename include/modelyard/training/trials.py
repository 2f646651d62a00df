"""The trials of a search: each is asked for, run in the pool, followed, and its end remembered."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelyard.artifacts import SplitData, Trial
from modelyard.errors import ComputeError, DataError, TrainingError
from modelyard.spec.models import Spec
from modelyard.training.log import TrainingLog
from modelyard.training.metrics import COMBINED_LOSS
from modelyard.training.pool import Call, Pool
from modelyard.training.search import Search
from modelyard.training.trial import EPOCH, FOLD, TrialJob
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FAILURES = (TrainingError, DataError, ComputeError)
STATE = "modelyard.trial"
STATES: dict[str, Any] = {"COMPLETE": "finished", "PRUNED": "stopped early", "FAIL": "failed"}
LONGEST = 40
log = logging.getLogger(__name__)


class Trials:
    """Runs the trials of one search; `next` may be called by several threads."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a trial needs
        self,
        spec: Spec,
        split: SplitData,
        workspace: Workspace,
        search: Search,
        tracked: TrainingLog,
        key: str,
    ) -> None:
        self._spec = spec
        self._split = split
        self._workspace = workspace
        self._search = search
        self._tracked = tracked
        self._key = key
        self._done = search.size - search.left()
        self._lock = threading.Lock()
        if self._done:
            log.info("trial %d/%d  the search goes on", self._done, search.size)

    def next(self, pool: Pool) -> None:
        """Run one more trial to its end; a failure is remembered, and the next may begin."""
        number, parameters = self._search.ask()
        name = f"trial-{number}"
        shown = _in_words(parameters)
        log.info(
            "trial %d/%d  number %d begins with %s", self._done, self._search.size, number, shown
        )
        with self._tracked.child(name, f"{self._key}/{name}") as run:
            run.params(parameters)
            try:
                outcome: Any = pool.run(self._job(number, parameters), _Follower(run))
            except FAILURES as error:
                run.tags({STATE: "failed"})
                run.failed(str(error))
                self._search.failed(number, {"error": str(error), "mlflow_run": run.run_id})
                self._tell(number, f"failed: {error}", parameters)
                return
            self._remember(number, outcome, run)
        how = "stopped early at" if outcome["stopped"] else "reached"
        self._tell(number, f"{how} {self._metric} {outcome['score']:.4g}", parameters)

    def all(self) -> tuple[Trial, ...]:
        """All trials that have ended."""
        return tuple(self._trial(frozen) for frozen in self._search.outcomes())

    @property
    def _metric(self) -> str:
        assert self._spec.tune is not None, "a search has a section"
        return self._spec.tune.metric or COMBINED_LOSS

    def _job(self, number: int, parameters: dict[str, JsonValue]) -> Call:
        memory = self._search.memory
        return TrialJob(self._spec, self._split, self._workspace, memory, number, parameters)

    def _remember(self, number: int, outcome: dict[str, Any], run: TrainingLog) -> None:
        facts: dict[str, JsonValue] = {"epochs": outcome["epochs"], "mlflow_run": run.run_id}
        run.metrics({"score": outcome["score"]}, step=outcome["epochs"])
        if outcome["stopped"]:
            run.tags({STATE: "stopped early"})
            self._search.stopped(number, facts)
        else:
            run.tags({STATE: "finished"})
            self._search.finished(number, outcome["score"], facts)

    def _tell(self, number: int, what: str, parameters: dict[str, JsonValue]) -> None:
        """Say in the log how many trials have ended; they need not end in their order."""
        level = logging.WARNING if what.startswith("failed") else logging.INFO
        with self._lock:
            self._done += 1
            place = f"trial {self._done}/{self._search.size}  number {number}"
            log.log(level, "%s %s  with %s", place, what, _in_words(parameters))

    def _trial(self, frozen: FrozenTrial) -> Trial:
        facts = frozen.user_attrs
        return Trial(
            number=frozen.number,
            parameters=self._search.parameters(frozen),
            score=frozen.value,
            state=STATES[frozen.state.name],
            epochs=facts.get("epochs", 0),
            mlflow_run=facts.get("mlflow_run", ""),
            error=facts.get("error"),
        )


class _Follower:
    """Passes on what a trial says to its own run."""

    def __init__(self, run: TrainingLog) -> None:
        self._run = run

    def __call__(self, message: dict[str, JsonValue]) -> None:
        figures: Any = message["figures"]
        if EPOCH in message:
            number, total = message[EPOCH], message["total"]
            self._run.epoch(int(str(number)), int(str(total)), figures)
        else:
            self._run.metrics(figures, step=int(str(message[FOLD])))


def _in_words(parameters: dict[str, JsonValue]) -> str:
    return "  ".join(f"{key} {_short(value)}" for key, value in parameters.items())


def _short(value: JsonValue) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
