"""A steady load on one URL from a thread of its own, and what became of each request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np
import orjson

JSON = {"Content-Type": "application/json"}
ANSWER_SECONDS = 60.0
OK, BUSY = 200, 503


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent, its HTTP status (0 where there was none) and milliseconds."""

    at: float
    status: int
    milliseconds: float
    versions: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()
    fault: str = ""
    retry_after: str | None = None


@dataclass
class Load:
    """Requests that are sent until `stop`; read `answers` after."""

    url: str
    body: bytes
    answers: list[Answer] = field(default_factory=list)
    unsent: int = 0
    """Requests of an open loop that were due when too many were already waiting."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def count(self) -> int:
        """How many requests were answered so far."""
        return len(self.answers)

    def failed(self) -> list[Answer]:
        """Requests without a good answer."""
        return [answer for answer in self.answers if answer.status != OK]

    def versions(self) -> Counter[int]:
        """How many rows each version answered."""
        return Counter(version for answer in self.answers for version in answer.versions)

    def milliseconds(self, *quantiles: float, since: float = 0.0) -> list[float]:
        """Quantiles of the time to a good answer."""
        times = [one.milliseconds for one in self.answers if one.status == OK and one.at >= since]
        return [float(value) for value in np.quantile(times or [np.nan], quantiles)]

    def rate(self, since: float, until: float) -> float:
        """Good answers a second between two moments of `time.monotonic`."""
        good = sum(one.status == OK and since <= one.at < until for one in self.answers)
        return good / (until - since)

    async def one(self, session: aiohttp.ClientSession) -> None:
        """Send one request and note what came back."""
        began = time.monotonic()
        try:
            async with session.post(self.url, data=self.body, headers=JSON) as response:
                content = await response.read()
                spent = (time.monotonic() - began) * 1000
                self.answers.append(_read(began, response, content, spent))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            spent = (time.monotonic() - began) * 1000
            self.answers.append(Answer(began, 0, spent, fault=f"{type(error).__name__}: {error}"))

    async def closed(self, concurrency: int) -> None:
        """Send the next request when one was answered, `concurrency` at a time."""
        async with _session(concurrency) as session:

            async def client() -> None:
                while not self._stop.is_set():
                    await self.one(session)

            await asyncio.gather(*(client() for _ in range(concurrency)))

    async def open(self, per_second: float, most: int = 2000) -> None:
        """Send requests by the clock, whether or not earlier ones were answered."""
        under_way: set[asyncio.Task[None]] = set()
        async with _session(most) as session:
            due = time.monotonic()
            while not self._stop.is_set():
                due += 1 / per_second
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if len(under_way) >= most:
                    self.unsent += 1
                    continue
                task = asyncio.create_task(self.one(session))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()


@contextmanager
def load(url: str, body: bytes, concurrency: int = 8, rate: float | None = None) -> Iterator[Load]:
    """Keep a load on an URL: a closed loop of `concurrency`, or an open one of `rate` a second."""
    running = Load(url, body)
    work = running.closed(concurrency) if rate is None else running.open(rate)
    thread = threading.Thread(target=lambda: asyncio.run(work), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.stop()
        thread.join(ANSWER_SECONDS + 5)


def body_of(rows: Sequence[dict[str, object]]) -> bytes:
    """Write rows as a request's body."""
    return orjson.dumps({"rows": list(rows)})


def _session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
    )


def _read(began: float, response: aiohttp.ClientResponse, content: bytes, spent: float) -> Answer:
    if response.status != OK:
        text = content[:200].decode(errors="replace")
        after = response.headers.get("Retry-After")
        return Answer(began, response.status, spent, fault=text, retry_after=after)
    rows = orjson.loads(content)["predictions"]
    return Answer(
        began,
        OK,
        spent,
        versions=tuple(row["version"] for row in rows),
        ids=tuple(row["id"] for row in rows),
    )
