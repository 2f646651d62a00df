"""The service `steward`: moves rollouts on by their evidence, and keeps MLflow's aliases in agreement.

It acts on what the database says and keeps nothing of its own, so that it may be killed at any
moment. One is active on a home folder at a time; a second one waits. What needs MLflow itself or
a new process (to deploy a version whose alias a person has set) is done in a child, which gives
the memory back.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from filelock import FileLock

from modelyard.errors import ModelyardError, UsageError
from modelyard.rollout.deploy import ALIASES, Rollout
from modelyard.rollout.follow import AliasState, answer
from modelyard.rollout.moves import Author
from modelyard.rollout.ray_serve import NotStarted
from modelyard.settings import Settings, get_settings
from modelyard.stack.approvals import Approvals
from modelyard.stack.services import STEWARD_FILE, services_folder
from modelyard.store.records import RolloutRecord
from modelyard.tracking import aliases
from modelyard.workspace import write_atomically

if TYPE_CHECKING:
    from modelyard.store.database import Store

TICK_SECONDS = 1.0
ALIAS_SECONDS = 2.5
"""An alias is followed when it is seen so twice, since who gives one notes it a moment later."""
PATIENCE = 2.0
AGAIN_SECONDS = 30.0
CANNOT = 3
"""The exit code of a child that cannot do it, however often it is asked."""
FOLLOW = "--follow"
DATABASE = "the database"
log = logging.getLogger(__name__)


class Steward:
    """Looks after all rollouts; each part is tried again at its next turn, and complains once."""

    def __init__(self, control: Rollout, approvals: Approvals | None = None) -> None:
        self.control = control
        self.settings = control.settings
        self.store: Store = control.store
        self.approvals = approvals
        self.problems: dict[str, str] = {}
        self._seen: dict[tuple[str, str], AliasState] = {}
        self._stale: str | None = None
        self._counted: dict[str, object] = {}
        self._child: tuple[subprocess.Popen[str], str] | None = None
        self._not_before: dict[str, float] = {}

    def rollouts(self) -> None:
        """Decide each rollout that is under way, and carry it out."""
        with self._trying(DATABASE):
            under_way = self._under_way()
        if DATABASE in self.problems:
            return
        for record in under_way:
            with self._trying(f"rollout of {record.model}"):
                self._attend(record)
        if self.approvals is not None:
            with self._trying("Airflow"):
                self.approvals.ask([one for one in under_way if one.status == "waiting"])

    def _under_way(self) -> list[RolloutRecord]:
        found = [self.store.rollout(model) for model in self._models()]
        return [record for record in found if record is not None]

    def _models(self) -> list[str]:
        return sorted({item.model for item in self.store.variants()})

    def _attend(self, record: RolloutRecord) -> None:
        """Decide anew if anything was counted since, or if time alone may decide."""
        counted = (record.phase, tuple(self.store.tallies(record.model, record.phase)))
        timed = record.policy.get("rollout", {})
        patient = not (isinstance(timed, dict) and timed.get("max_hours"))
        if patient and self._counted.get(record.model) == counted:
            return
        # Late, so that a stack without rollouts does not pay for SciPy.
        from modelyard.rollout.attend import attend

        move = attend(self.control, record)
        if move is None:
            self._counted[record.model] = counted

    def aliases(self) -> None:
        """Compare MLflow's aliases with the database; write them, or follow those that were moved."""
        self._reap()
        if DATABASE in self.problems:
            return
        for model in self._models():
            with self._trying(f"aliases of {model}"):
                self._compare(model)

    def _compare(self, model: str) -> None:
        found = aliases.read(self.settings, model, PATIENCE)
        if found is None:
            return
        roles: dict[str, int] = {item.role: item.version for item in self.store.variants(model)}
        if "champion" not in roles:  # the first version is only being started
            return
        for alias in ALIASES:
            state = AliasState(
                bearer=found.bearers.get(alias),
                noted=found.noted.get(alias),
                wanted=roles.get(alias),
                ever_noted=bool(found.noted),
            )
            twice = self._seen.get((model, alias)) == state
            self._seen[model, alias] = state
            if twice:
                self._settle(model, alias, state)

    def _settle(self, model: str, alias: str, state: AliasState) -> None:
        known = {one.version for one in self.store.rollouts(model)}
        known |= {item.version for item in self.store.variants(model)}
        told = answer(state, known)
        if told == "note":
            aliases.note(self.settings, model, alias, state.bearer)
        elif told == "write":
            log.info("%s: the alias %s goes back to version %s", model, alias, state.wanted)
            self.control.set_alias(model, alias, state.wanted)
        elif told == "follow" and state.bearer is not None:
            self._follow(model, alias, state.bearer)

    def _follow(self, model: str, alias: str, version: int) -> None:
        """Go after an alias: at once if the version is deployed, in a child if it must be first."""
        deployed = {item.version: item.role for item in self.store.variants(model)}
        topic = f"alias {alias} of {model}"
        if alias == "challenger" and deployed.get(version) == "champion":
            self._tell(topic, f"version {version} is the champion already")
            self.control.point_aliases(model)
        elif alias == "champion" and version in deployed:
            log.info("%s: the alias %s was moved to version %d", model, alias, version)
            follow(self.control, alias, model, version)
        elif self._child is None and time.monotonic() >= self._not_before.get(topic, 0):
            log.info("%s: the alias %s was moved to version %d", model, alias, version)
            words = (
                sys.executable,
                "-m",
                "modelyard.stack.steward",
                FOLLOW,
                alias,
                model,
                str(version),
            )
            child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            self._child = (child, topic)

    def _reap(self) -> None:
        """See what became of the child; an alias that cannot be followed goes back."""
        if self._child is None or self._child[0].poll() is None:
            return
        (child, topic), self._child = self._child, None
        told = child.communicate()[0].strip()
        if child.returncode == 0:
            self._tell(topic, None)
            return
        self._tell(topic, told or f"it ended with {child.returncode}")
        if child.returncode == CANNOT:
            with self._trying(f"{topic}, given back"):
                self.control.point_aliases(topic.rpartition(" ")[2])
        self._not_before[topic] = time.monotonic() + AGAIN_SECONDS

    def endpoint(self) -> None:
        """Give Serve its configuration again where the endpoint routes by another, seen twice."""
        with self._trying("the endpoint"):
            found, wanted = self.control.routed_by(), self.control.table().revision
            if found is None or found == wanted:
                self._stale = None
            elif self._stale == wanted:
                log.info("the endpoint routes by another table; it is given this one again")
                self.control.put()
            else:
                self._stale = wanted

    @contextmanager
    def _trying(self, topic: str) -> Iterator[None]:
        try:
            yield
        except ModelyardError as error:
            self._tell(topic, str(error))
        except Exception as error:
            # One model's surprise must not stop the others' rollouts.
            if topic not in self.problems:
                log.exception("%s", topic)
            self._tell(topic, f"{type(error).__name__}: {error}", logged=True)
        else:
            self._tell(topic, None)

    def _tell(self, topic: str, problem: str | None, *, logged: bool = False) -> None:
        """Log a problem when it comes, changes and goes."""
        before = self.problems.get(topic)
        if problem is None:
            if self.problems.pop(topic, None) is not None:
                log.info("%s: well again", topic)
        else:
            self.problems[topic] = problem
            if problem != before and not logged:
                log.warning("%s: %s", topic, problem)


def follow(control: Rollout, alias: str, model: str, version: int) -> None:
    """Let the traffic go after an alias that a person has moved in MLflow."""
    told = f"the alias {alias} was moved to version {version} in MLflow"
    author = Author("MLflow alias", reason=told)
    if alias == "champion":
        control.promote(model, version, author)
    else:
        control.introduce(model, version, author)
    control.point_aliases(model)


def keep(settings: Settings) -> NoReturn:
    """Look after rollouts until the supervisor ends this process."""
    from modelyard.serve_control import rollout

    folder = settings.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    set_alias = partial(aliases.point, settings, patience=PATIENCE)
    log.info("waiting for the lock, if another steward is active")
    with FileLock(folder / "steward.lock"):
        while True:
            try:
                with rollout(settings, set_alias) as control:
                    _forever(Steward(control, Approvals.from_environment(settings)))
            except ModelyardError as error:  # the database cannot be opened
                log.warning("%s; next try in %.0f s", error, AGAIN_SECONDS / 10)
                time.sleep(AGAIN_SECONDS / 10)


def _forever(steward: Steward) -> NoReturn:
    file = ready_file(steward.settings)
    told: str | None = ""
    next_aliases = 0.0
    log.info("looking after rollouts")
    while True:
        steward.rollouts()
        if time.monotonic() >= next_aliases:
            steward.aliases()
            steward.endpoint()
            next_aliases = time.monotonic() + ALIAS_SECONDS
        problem = steward.problems.get(DATABASE)
        if problem != told:
            write_atomically(file, json.dumps({"problem": problem}))
            told = problem
        time.sleep(TICK_SECONDS)


def ready_file(settings: Settings) -> Path:
    """Where it says that it is active."""
    return services_folder(settings) / STEWARD_FILE


def main(arguments: list[str]) -> int:
    """Run the steward, or follow one alias in a child of it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every poll
    settings = get_settings()
    if arguments[:1] == [FOLLOW]:
        alias, model, version = arguments[1:]
        return _follow_in_child(settings, alias, model, int(version))
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    keep(settings)


def _follow_in_child(settings: Settings, alias: str, model: str, version: int) -> int:
    from modelyard.serve_control import rollout

    try:
        with rollout(settings) as control:
            follow(control, alias, model, version)
    except (NotStarted, UsageError) as error:
        sys.stdout.write(str(error))
        return CANNOT
    except ModelyardError as error:
        sys.stdout.write(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
