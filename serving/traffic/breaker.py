"""Stop asking a variant that keeps failing, and try it again after a while: a circuit breaker.

The states and their names are those of M. Nygard, Release It!, 2nd edition (2018), chapter 5:
closed lets calls pass and watches them; open lets none pass for a while; half-open lets one pass at
a time, and closes after some that succeeded or opens again, for longer, after one that failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final, Literal

type Position = Literal["closed", "open", "half-open"]
type Outcome = Literal["answered", "failed", "void"]
"""`void` is a call that says nothing of the variant: its rows were wrong, or its caller left."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens and closes; times in seconds."""

    window: int = 20
    least_calls: int = 5
    failure_rate: float = 0.5
    rest: float = 5.0
    longest_rest: float = 60.0
    probes: int = 3


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call; it must come back with the call's outcome."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one breaker; `failures` holds one bit a call of the window, 1 where it failed."""

    position: Position = "closed"
    epoch: int = 0
    calls: int = 0
    failures: int = 0
    rest: float = 0.0
    until: float = 0.0
    probing: bool = False
    passed: int = 0


CLOSED: Final = Breaker()
RULES: Final = Rules()


def ask(state: Breaker, now: float) -> tuple[Breaker, Permit | None]:
    """Ask for leave to call; without it the call is not to be made."""
    if state.position == "closed":
        return state, Permit(state.epoch)
    if state.position == "open" and now >= state.until:
        state = Breaker("half-open", state.epoch + 1, rest=state.rest)
    if state.position == "open" or state.probing:
        return state, None
    return replace(state, probing=True), Permit(state.epoch)


def tell(
    state: Breaker, permit: Permit, outcome: Outcome, now: float, rules: Rules = RULES
) -> Breaker:
    """Tell what became of a call; calls from before the last change of position say nothing."""
    if permit.epoch != state.epoch:
        return state
    if state.position == "half-open":
        return _after_probe(state, outcome, now, rules)
    if outcome == "void":
        return state
    calls = min(state.calls + 1, rules.window)
    failures = (state.failures << 1 | (outcome == "failed")) & ((1 << rules.window) - 1)
    if calls >= rules.least_calls and failures.bit_count() >= rules.failure_rate * calls:
        return _opened(state, rules.rest, now)
    return Breaker(epoch=state.epoch, calls=calls, failures=failures)


def _after_probe(state: Breaker, outcome: Outcome, now: float, rules: Rules) -> Breaker:
    if outcome == "failed":
        return _opened(state, min(2 * state.rest, rules.longest_rest), now)
    passed = state.passed + (outcome == "answered")
    if passed >= rules.probes:
        return Breaker(epoch=state.epoch + 1)
    return replace(state, probing=False, passed=passed)


def _opened(state: Breaker, rest: float, now: float) -> Breaker:
    return Breaker("open", state.epoch + 1, rest=rest, until=now + rest)


class Breakers:
    """One breaker a variant, by the name of its application; for one event loop.

    They live in memory only: after a restart a broken variant costs a few calls to be found again,
    which the champion answers as before.
    """

    def __init__(self, rules: Rules = RULES, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._clock = clock
        self._states: dict[str, Breaker] = {}

    def ask(self, app: str) -> Permit | None:
        """Ask for leave to call a variant; a permit must be told of, whatever happens."""
        state, permit = ask(self._states.get(app, CLOSED), self._clock())
        self._states[app] = state
        return permit

    def tell(self, app: str, permit: Permit, outcome: Outcome) -> None:
        """Tell what became of a call."""
        before = self._states.get(app, CLOSED)
        after = tell(before, permit, outcome, self._clock(), self._rules)
        self._states[app] = after
        if after.position != before.position:
            level = logging.INFO if after.position == "closed" else logging.WARNING
            log.log(level, "the circuit breaker of %s is %s", app, after.position)

    def position(self, app: str) -> Position:
        """Say where a variant's breaker stands."""
        return self._states.get(app, CLOSED).position

    def keep(self, apps: Collection[str]) -> None:
        """Forget all but these."""
        self._states = {app: state for app, state in self._states.items() if app in apps}
