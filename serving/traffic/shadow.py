"""Copy requests to versions that answer unseen, after the live answer and never at its cost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from modelyard.rollout.routes import Route
from modelyard.store.records import ShadowRecord
from serving.http.problems import Refusal
from serving.model.backend import VariantFault
from serving.model.outputs import Output
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.sink import brief
from serving.requests.bodies import Rows
from serving.traffic.agreement import agrees
from serving.traffic.breaker import Breakers, Outcome
from serving.traffic.calls import Answered
from serving.traffic.figures import Figures
from serving.traffic.router import Lanes
from serving.traffic.tallies import Tallies
from serving.traffic.variants import Answer, Checked, Variants

MOST_COPIES: Final = 16
MOST_ROWS: Final = 2000
# A copy competes with live requests: from this part of what may be under way on there is none.
BUSY_LOAD: Final = 0.5
PAUSE_SECONDS: Final = 2.0
COPY_SECONDS: Final = 5.0
log = logging.getLogger(__name__)


class Shadows:
    """Runs copies as tasks of their own; what does not fit is dropped and counted.

    Args:
        load: How much of what may be under way is, 0 to 1.
        clock: Seconds, steady.
        chance: Random numbers, 0 to 1.
    """

    def __init__(  # noqa: PLR0913 - what a copy needs, once
        self,
        variants: Variants,
        breakers: Breakers,
        prediction_log: PredictionLog,
        tallies: Tallies,
        figures: Figures,
        *,
        load: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._variants = variants
        self._breakers = breakers
        self._log = prediction_log
        self._tallies = tallies
        self._figures = figures
        self._load = load
        self._clock = clock
        self._chance = chance
        self._copies: set[asyncio.Task[None]] = set()
        self._rows = 0
        self._paused_until = float("-inf")

    def offer(self, lanes: Lanes, answered: Answered, ids: Sequence[str], body: Rows) -> None:
        """Copy an answered request to each shadow that chance says; returns at once.

        Only requests that were the champion's own are copied: its answer is what others are
        compared with, and requests that another failed at are no fair sample.
        """
        if answered.route.role != "champion" or answered.fallback_from is not None:
            return
        for route in lanes.shadows:
            if self._chance() < route.shadow:
                self._start(lanes, route, answered, ids, body)

    async def finish(self) -> None:
        """Wait for the copies that are under way."""
        while self._copies:
            await asyncio.wait(self._copies)

    async def cancel(self) -> None:
        """Give up the copies that are under way, for the end."""
        for copy in self._copies:
            copy.cancel()
        await self.finish()

    @property
    def in_flight(self) -> int:
        """How many copies are under way."""
        return len(self._copies)

    def _start(
        self, lanes: Lanes, route: Route, answered: Answered, ids: Sequence[str], body: Rows
    ) -> None:
        rows = len(ids)
        if self._is_busy(rows):
            self._figures.of(lanes.model, route.version).shadow("dropped")
            return
        self._rows += rows
        copy = asyncio.create_task(self._copy(lanes, route, answered, ids, body))
        self._copies.add(copy)
        copy.add_done_callback(lambda done: self._done(done, rows))

    def _is_busy(self, rows: int) -> bool:
        return (
            len(self._copies) >= MOST_COPIES
            or (self._copies and self._rows + rows > MOST_ROWS)
            or self._load() > BUSY_LOAD
            or self._clock() < self._paused_until
        )

    def _done(self, copy: asyncio.Task[None], rows: int) -> None:
        self._copies.discard(copy)
        self._rows -= rows
        if not copy.cancelled() and (error := copy.exception()) is not None:
            log.error("a copy of a request failed", exc_info=error)

    async def _copy(
        self, lanes: Lanes, route: Route, answered: Answered, ids: Sequence[str], body: Rows
    ) -> None:
        figures = self._figures.of(lanes.model, route.version)
        permit = self._breakers.ask(route.app)
        if permit is None:
            figures.shadow("dropped")
            return
        outcome: Outcome = "void"
        begun = self._clock()
        try:
            found = await self._attempt(lanes, route, answered, body)
            outcome = "answered" if isinstance(found, Answer) else "failed"
        except _NoRoomError:
            self._paused_until = self._clock() + PAUSE_SECONDS
            figures.shadow("dropped")
            return
        finally:
            self._breakers.tell(route.app, permit, outcome)
        if isinstance(found, Answer):
            figures.shadow("sent")
            await self._keep(lanes, route, answered, ids, found)
            return
        figures.shadow("failed")
        self._tallies.failed(lanes, route)
        elapsed = 1000 * (self._clock() - begun)
        for identity in ids:
            self._log.shadow(_record(lanes, route, identity, {}, elapsed, None, found))

    async def _attempt(
        self, lanes: Lanes, route: Route, answered: Answered, body: Rows
    ) -> Answer | str:
        """Return the answer, or why there is none."""
        timeout = min(lanes.traffic.timeout_ms / 1000, COPY_SECONDS)
        checked = Checked(answered.answer.known, answered.answer.rows)
        try:
            return await self._variants.ask(route.app, body, timeout, checked)
        except VariantFault as fault:
            if fault.kind == "overloaded":
                raise _NoRoomError from fault
            return f"{fault.kind}: {fault.detail}"
        except Refusal as refusal:
            return f"refused: {refusal.document.detail}"

    async def _keep(
        self, lanes: Lanes, route: Route, answered: Answered, ids: Sequence[str], answer: Answer
    ) -> None:
        """Write what a copy got, and whether it is what the champion said."""
        milliseconds = answer.predicted.milliseconds
        self._tallies.answered(lanes, route, milliseconds)
        shown, unseen = answered.answer.predicted.outputs, answer.predicted.outputs
        same = await _compared(shown, unseen)
        for identity, output, agreed in zip(ids, unseen, same, strict=True):
            self._log.shadow(_record(lanes, route, identity, output, milliseconds, agreed, None))
        # Rows of one request are alike: one of them, picked by chance, stands for the request, so
        # that trials do not depend on each other.
        chosen = same[int(self._chance() * len(same))]
        self._tallies.compared(lanes, route, agrees=chosen)


class _NoRoomError(Exception):
    """It has no room for copies, which says nothing of how it would do without them."""


async def _compared(shown: Sequence[Output], unseen: Sequence[Output]) -> list[bool]:
    def compare() -> list[bool]:
        return [agrees(one, other) for one, other in zip(shown, unseen, strict=True)]

    if any("share" in parts for output in shown for parts in output.values()):
        return await asyncio.to_thread(compare)
    return compare()


def _record(  # noqa: PLR0913, PLR0917 - one record's facts
    lanes: Lanes,
    route: Route,
    identity: str,
    output: Output,
    milliseconds: float,
    agreed: bool | None,
    error: str | None,
) -> ShadowRecord:
    outputs: dict[str, JsonValue] = {name: brief(parts) for name, parts in output.items()}
    return ShadowRecord(
        prediction=identity,
        version=route.version,
        at=datetime.now(UTC),
        model=lanes.model,
        phase=lanes.traffic.phase,
        outputs=outputs,
        probability={
            name: float(found)
            for name, parts in output.items()
            if isinstance(found := parts.get("probability"), int | float)
        },
        latency_ms=milliseconds,
        agrees=agreed,
        error=error,
    )
