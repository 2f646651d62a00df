"""Refuse what cannot be answered in time, before it costs anything.

How many requests may be under way follows from how fast they are answered (Little's law: waiting
time = requests under way / rate). A crowd within that bound waits and is answered. Once more are
offered the bound falls to what just keeps the models busy, so that those who are admitted are
answered as quickly as on a calm day; it rises again when the crowd has halved.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.answers import problem_response
from serving.http.limits import DATA_HEAD
from serving.http.problems import Refusal

MOST_UNDER_WAY: Final = 96
FEWEST_UNDER_WAY: Final = 8
CROWDED: Final = 6
"""How many times fewer may be under way while more are offered than may be."""
MOST_BYTES_UNDER_WAY: Final = 256 * 1024 * 1024
UNKNOWN_LENGTH: Final = 10 * 1024 * 1024
WAIT_SECONDS: Final = 1.0
REFUSED_AFTER_SECONDS: Final = 0.05
REFUSED_AT_MOST_AFTER_SECONDS: Final = 1.0
REFUSALS_A_SECOND: Final = 500
MOST_REFUSED_LATER: Final = 1000
SMOOTHING_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class AdmissionState:
    """Figures for /health and /metrics."""

    under_way: int
    limit: int
    refused: int


class Capacity:
    """Counts requests under way, and bounds them by the rate at which they are answered.

    Args:
        most: The bound, however fast answers are.
        wait_s: How long the last one admitted may have to wait, as far as the rate tells.
    """

    def __init__(self, most: int = MOST_UNDER_WAY, wait_s: float = WAIT_SECONDS) -> None:
        self._most = most
        self._wait_s = wait_s
        self._under_way = 0
        self._bytes = 0
        self._refused = 0
        self._refusing = 0
        self._limit = most
        self._crowded = False
        self._answered = 0
        self._busy_s = 0.0
        self._since = 0.0

    @property
    def state(self) -> AdmissionState:
        """How it stands."""
        return AdmissionState(self._under_way, self.limit, self._refused)

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        if not self._crowded:
            return self._limit
        return min(self._limit, max(FEWEST_UNDER_WAY, self._limit // CROWDED))

    @property
    def refusing(self) -> int:
        """How many wait to be told that there is no room."""
        return self._refusing

    def enter(self, size: int, now: float) -> bool:
        """Admit a request of so many bytes; else call `refuse` when it has been told."""
        offered = self._under_way + self._refusing
        if offered >= self._limit:
            self._crowded = True
        elif offered < self._limit / 2:
            self._crowded = False
        if self._under_way >= self.limit or self._bytes + size > MOST_BYTES_UNDER_WAY:
            self._refusing += 1
            return False
        if not self._under_way:
            self._since = now
        self._under_way += 1
        self._bytes += size
        return True

    def refuse(self) -> None:
        """Count a request as refused."""
        self._refusing -= 1
        self._refused += 1

    def leave(self, size: int, now: float, *, answered: bool) -> None:
        """Count an admitted request as done; only answers tell how fast answers are."""
        self._under_way -= 1
        self._bytes -= size
        self._busy_s += now - self._since
        self._since = now
        if answered:
            self._answered += 1
        if self._busy_s >= SMOOTHING_SECONDS:
            self._adapt()

    def _adapt(self) -> None:
        """Set the bound from the rate over the time in which there was something to do."""
        fitting = int(self._answered / self._busy_s * self._wait_s)
        self._limit = min(self._most, max(FEWEST_UNDER_WAY, fitting))
        self._answered //= 2
        self._busy_s /= 2


class Admission:
    """An ASGI layer outside all others: requests with a body are admitted or refused."""

    def __init__(self, app: ASGIApp, capacity: Capacity) -> None:
        self.app = app
        self._capacity = capacity
        self._refusal = _busy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is admitted."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        size = _length(scope)
        if not self._capacity.enter(size, time.monotonic()):
            await self._refuse(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            answered = 0 < status < HTTPStatus.INTERNAL_SERVER_ERROR
            self._capacity.leave(size, time.monotonic(), answered=answered)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say so a moment later, so that callers who ask again at once are slowed down.

        Refusing costs time too: the more wait for their refusal, the longer they wait.
        """
        refusing = self._capacity.refusing
        try:
            if refusing <= MOST_REFUSED_LATER:
                wait = max(REFUSED_AFTER_SECONDS, refusing / REFUSALS_A_SECOND)
                await asyncio.sleep(min(wait, REFUSED_AT_MOST_AFTER_SECONDS))
        finally:
            self._capacity.refuse()
        await self._refusal(scope, receive, send)


def _busy() -> Response:
    """Write the refusal once: it is sent when there is no time."""
    detail = "more requests are under way than can be answered in time; try again"
    response = problem_response(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=1))
    response.raw_headers = [*response.raw_headers, *DATA_HEAD]
    return response


class AdmissionFigures(Collector):
    """The same for Prometheus."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity

    def collect(self) -> Iterable[Metric]:
        """Read them now."""
        state, name = self._capacity.state, "modelyard_admission"
        yield GaugeMetricFamily(f"{name}_under_way", "Requests with a body.", state.under_way)
        yield GaugeMetricFamily(f"{name}_limit", "How many may be under way.", state.limit)
        yield CounterMetricFamily(f"{name}_refused", "Requests without room.", state.refused)


def _length(scope: Scope) -> int:
    """How many bytes the body will have, as far as the head says."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return min(int(value), UNKNOWN_LENGTH) if value.isdigit() else UNKNOWN_LENGTH
    return UNKNOWN_LENGTH
