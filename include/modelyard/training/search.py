"""The search's memory and its choices: an Optuna study in a file that survives the search.

The coordinator asks for trials and tells their ends; each trial reports its epochs to the same
file from the process where it trains, and learns from it whether to stop.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import JsonValue

from modelyard.spec.models import ChoiceSpace, IntegerSpace, TuneSpec, UniformSpace
from modelyard.training.space import count, grid, sample

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

JOURNAL = "journal.log"
STUDY = "search"
REDUCTION = 3


@dataclass(frozen=True, slots=True)
class Memory:
    """Where a search is kept and how it is led; small, and can be sent to other processes."""

    folder: Path
    tune: TuneSpec
    lower_is_better: bool
    epochs: int
    seed: int

    def study(self) -> Study:
        """Open the study, or begin it."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna.create_study(
            study_name=STUDY,
            storage=_storage(self.folder),
            direction="minimize" if self.lower_is_better else "maximize",
            pruner=_pruner(self.tune, self.epochs),
            load_if_exists=True,
        )


class Search:
    """Chooses trials and remembers their ends; may be used by several threads."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._lock = threading.Lock()
        memory.folder.mkdir(parents=True, exist_ok=True)
        self.study = memory.study()
        self.size = count(memory.tune)
        self._interrupted = [t for t in self.study.trials if not t.state.is_finished()]
        self._asked: dict[int, OptunaTrial] = {}

    def left(self) -> int:
        """How many trials must still be run, those included that were interrupted."""
        return max(0, self.size - len(self.outcomes()))

    def ask(self) -> tuple[int, dict[str, JsonValue]]:
        """Choose the next trial's number and parameters: an interrupted one, or a new one.

        A choice depends on the seed, the trial's number and the trials before it, not on how
        often the search was interrupted.
        """
        from optuna.trial import Trial as OptunaTrial

        with self._lock:
            if self._interrupted:
                trial_id = self._interrupted.pop(0)._trial_id  # noqa: SLF001 - Trial takes no number
                trial = OptunaTrial(self.study, trial_id)
            else:
                trial = self.study.ask()
            self.study.sampler = _sampler(self.memory, trial.number)
            for key, space in sorted(self.memory.tune.parameters.items()):
                _suggest(trial, key, space)
            self._asked[trial.number] = trial
            return trial.number, self.parameters(trial)

    def finished(self, number: int, score: float, facts: Mapping[str, JsonValue]) -> None:
        """Note the score of a trial that went to its end."""
        self._end(number, "COMPLETE", facts, score)

    def stopped(self, number: int, facts: Mapping[str, JsonValue]) -> None:
        """Note that a trial was stopped early; its last report is its score."""
        self._end(number, "PRUNED", facts)

    def failed(self, number: int, facts: Mapping[str, JsonValue]) -> None:
        """Note that a trial failed."""
        self._end(number, "FAIL", facts)

    def outcomes(self) -> list[FrozenTrial]:
        """The trials that have ended, in the order of their numbers."""
        return [trial for trial in self.study.trials if trial.state.is_finished()]

    def parameters(self, trial: FrozenTrial | OptunaTrial) -> dict[str, JsonValue]:
        """A trial's parameters as they go into the model."""
        spaces = self.memory.tune.parameters
        return {
            key: json.loads(value) if isinstance(spaces[key], ChoiceSpace) else value
            for key, value in sorted(trial.params.items())
        }

    def _end(
        self, number: int, state: str, facts: Mapping[str, JsonValue], score: float | None = None
    ) -> None:
        from optuna.trial import TrialState

        with self._lock:
            trial = self._asked.pop(number)
            for name, value in facts.items():
                trial.set_user_attr(name, value)
            self.study.tell(trial, score, state=TrialState[state])


class Reporter:
    """One trial's line to the search, from where it trains."""

    def __init__(self, memory: Memory, number: int) -> None:
        from optuna.trial import Trial

        study = memory.study()
        begun = study.trials[number]
        self._trial = Trial(study, begun._trial_id)  # noqa: SLF001 - Trial takes no number
        self._known = set(begun.intermediate_values)

    def is_hopeless(self, step: int, value: float) -> bool:
        """Report a value and ask if the trial does too badly to go on."""
        if step not in self._known:
            self._trial.report(value, step)
        return bool(self._trial.should_prune())


def _storage(folder: Path) -> BaseStorage:
    """The journal; Optuna's own lock would stay for half a minute where a process was killed."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    lock = FileLock(folder / f"{JOURNAL}.lock")
    return JournalStorage(JournalFileBackend(str(folder / JOURNAL), lock_obj=lock))  # type: ignore[arg-type]  # it has acquire and release


def _pruner(tune: TuneSpec, epochs: int) -> BasePruner:
    from optuna import pruners

    grace = tune.grace_epochs if tune.folds is None else 1
    if tune.scheduler == "asha":
        return pruners.SuccessiveHalvingPruner(min_resource=grace, reduction_factor=REDUCTION)
    if tune.scheduler == "hyperband":
        longest = max(grace + 1, epochs)
        return pruners.HyperbandPruner(grace, max_resource=longest, reduction_factor=REDUCTION)
    if tune.scheduler == "median":
        return pruners.MedianPruner(n_warmup_steps=grace)
    return pruners.NopPruner()


def _sampler(memory: Memory, number: int) -> BaseSampler:
    """The choice of one trial, seeded by its number."""
    from optuna.samplers import TPESampler

    if memory.tune.search == "tpe":
        digest = hashlib.sha256(f"{memory.seed}/{number}".encode()).digest()
        return TPESampler(seed=int.from_bytes(digest[:4]), constant_liar=True)
    if memory.tune.search == "grid":
        return _given(grid(memory.tune)[number])
    return _given(sample(memory.tune, memory.seed, number))


def _given(values: Mapping[str, JsonValue]) -> BaseSampler:
    from optuna.samplers import BaseSampler

    class Given(BaseSampler):
        """Chooses what is chosen already."""

        def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
            return {}

        def sample_relative(self, *_: Any) -> dict[str, Any]:
            return {}

        def sample_independent(
            self, study: Any, trial: Any, param_name: str, param_distribution: Any
        ) -> Any:
            del study, trial
            value = values[param_name]
            return json.dumps(value) if hasattr(param_distribution, "choices") else value

    return Given()


def _suggest(
    trial: OptunaTrial, key: str, space: UniformSpace | IntegerSpace | ChoiceSpace
) -> None:
    """Let the sampler choose; choices are JSON text, since they may be whole sections."""
    if isinstance(space, ChoiceSpace):
        trial.suggest_categorical(key, [json.dumps(choice) for choice in space.categories])
    elif isinstance(space, IntegerSpace):
        last = range(space.lower, space.upper + 1, space.step)[-1]
        trial.suggest_int(key, space.lower, last, step=space.step)
    else:
        trial.suggest_float(key, space.lower, space.upper, log=space.space == "loguniform")
