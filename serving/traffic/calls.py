"""Get a request answered: by the variant that was picked, or else by the champion."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from modelyard.rollout.routes import Route
from serving.http.problems import Refusal
from serving.model.backend import FaultKind, VariantFault
from serving.requests.bodies import Rows
from serving.traffic.breaker import Breakers, Outcome, Permit
from serving.traffic.figures import FallbackReason, Figures
from serving.traffic.router import Lanes
from serving.traffic.tallies import Tallies
from serving.traffic.variants import Answer, Variants

# Serve's proxy gives a request 35 s. What a challenger may use of them leaves the champion time.
ANSWER_SECONDS: Final = 30.0
CHALLENGER_SECONDS: Final = 20.0
# A challenger that hangs must not hold all the places that there are for requests.
BULKHEAD_LOAD: Final = 0.5
WARN_SECONDS: Final = 10.0
REFUSED: Final[dict[FaultKind, tuple[HTTPStatus, int | None]]] = {
    "timeout": (HTTPStatus.GATEWAY_TIMEOUT, 10),
    "overloaded": (HTTPStatus.SERVICE_UNAVAILABLE, 1),
    "down": (HTTPStatus.SERVICE_UNAVAILABLE, 5),
    "failed": (HTTPStatus.INTERNAL_SERVER_ERROR, None),
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """A request's answer: by whom, and whose place it took if that one failed."""

    route: Route
    answer: Answer
    fallback_from: int | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    lanes: Lanes
    body: Rows
    deadline: float


class Calls:
    """Calls variants for live requests, and counts what becomes of each call.

    A call counts for the version that was picked, so that champion and challenger are held to the
    same measure on requests that chance divided. When the champion steps in, its call counts for
    nobody: it gets the very requests that another failed at, which would make it look worse, or
    better, than its own share does.

    Args:
        load: How much of what may be under way at the endpoint is, 0 to 1.
        clock: Seconds, steady.
    """

    def __init__(  # noqa: PLR0913 - what a call needs, once
        self,
        variants: Variants,
        breakers: Breakers,
        tallies: Tallies,
        figures: Figures,
        *,
        load: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._variants = variants
        self._breakers = breakers
        self._tallies = tallies
        self._figures = figures
        self._load = load
        self._clock = clock
        self._under_way: Counter[str] = Counter()
        self._warned: dict[str, float] = {}

    async def pinned(self, route: Route, body: Rows) -> Answered:
        """Answer rows by the variant that the caller named, and by no other; nothing is counted.

        Raises:
            Refusal: as `answer` does.
        """
        try:
            return Answered(route, await self._variants.ask(route.app, body, ANSWER_SECONDS))
        except VariantFault as fault:
            raise _refusal(fault) from fault

    async def answer(self, lanes: Lanes, route: Route, body: Rows) -> Answered:
        """Answer rows by a picked variant, or by the champion where that one fails.

        Raises:
            Refusal: 422 for rows that do not fit; 500, 503 or 504 where the champion fails too. The
                former champion is not asked: to go back to it is a decision, with a ledger row.
        """
        request = _Request(lanes, body, self._clock() + ANSWER_SECONDS)
        champion = lanes.champion
        if champion is None or champion.app == route.app:
            return await self._own(request, route)
        if self._is_full(route.app):
            self._fell_back(request, route, "bulkhead")
            return await self._instead(request, route, champion)
        permit = self._breakers.ask(route.app)
        if permit is None:
            self._fell_back(request, route, "breaker")
            return await self._instead(request, route, champion)
        self._under_way[route.app] += 1
        try:
            found = await self._challenged(request, route, champion, permit)
        finally:
            self._under_way[route.app] -= 1
        return found or await self._instead(request, route, champion)

    def _is_full(self, app: str) -> bool:
        """Whether one challenger holds half of the places that the endpoint has for requests."""
        part = self._under_way[app] / max(1, self._figures.in_flight)
        return part * self._load() >= BULKHEAD_LOAD

    async def _own(self, request: _Request, route: Route) -> Answered:
        lanes, begun = request.lanes, self._clock()
        try:
            answer = await self._variants.ask(route.app, request.body, request.deadline - begun)
        except VariantFault as fault:
            self._tallies.failed(lanes, route)
            raise _refusal(fault) from fault
        # A challenger that took as long would have been given up: both are held to one limit.
        if 1000 * (self._clock() - begun) > lanes.traffic.timeout_ms:
            self._tallies.failed(lanes, route)
        else:
            self._tallies.answered(lanes, route, answer.predicted.milliseconds)
        return Answered(route, answer)

    async def _challenged(
        self, request: _Request, route: Route, champion: Route, permit: Permit
    ) -> Answered | None:
        """Ask a challenger; None if it failed and the champion is to be asked."""
        lanes = request.lanes
        outcome: Outcome = "void"
        try:
            timeout = min(lanes.traffic.timeout_ms / 1000, CHALLENGER_SECONDS)
            answer = await self._variants.ask(route.app, request.body, timeout)
            outcome = "answered"
            self._tallies.answered(lanes, route, answer.predicted.milliseconds)
            return Answered(route, answer)
        except VariantFault as fault:
            # One without room is not broken, and the others could not take all its requests.
            outcome = "void" if fault.kind == "overloaded" else "failed"
            self._tallies.failed(lanes, route)
            self._fell_back(request, route, fault.kind)
            self._warn(route.app, fault)
            return None
        except Refusal:
            # Rows that the champion refuses too are wrong; others are refused by a version that
            # asks for what no caller was told of.
            rescued = await self._instead(request, route, champion)
            outcome = "failed"
            self._tallies.failed(lanes, route)
            self._fell_back(request, route, "refused")
            return rescued
        finally:
            self._breakers.tell(route.app, permit, outcome)

    async def _instead(self, request: _Request, route: Route, champion: Route) -> Answered:
        """Let the champion answer what was another's."""
        left = request.deadline - self._clock()
        try:
            answer = await self._variants.ask(champion.app, request.body, left)
        except VariantFault as fault:
            raise _refusal(fault) from fault
        return Answered(champion, answer, fallback_from=route.version)

    def _warn(self, app: str, fault: VariantFault) -> None:
        """Log a fault, but not each of thousands."""
        now = self._clock()
        if now - self._warned.get(app, float("-inf")) >= WARN_SECONDS:
            self._warned[app] = now
            log.warning("%s: %s; the champion answers", fault.kind, fault.detail)

    def _fell_back(self, request: _Request, route: Route, reason: FallbackReason) -> None:
        figures = self._figures.of(request.lanes.model, route.version)
        figures.fell_back(reason, self._clock())


def _refusal(fault: VariantFault) -> Refusal:
    status, retry_after = REFUSED[fault.kind]
    return Refusal(status, fault.detail, retry_after=retry_after)
