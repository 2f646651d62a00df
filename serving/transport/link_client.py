"""The endpoint's end of its links: many requests under way on one socket, each with its future."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Final, cast

from serving.model.backend import Predicted
from serving.model.predictor import Failure
from serving.requests.rows import Row
from serving.transport.link import GOING, Frames, frame, pack_request, unpack_answer

CONNECT_SECONDS: Final = 2.0


class LinkLostError(ConnectionError):
    """The replica ended before it answered."""


class Link(asyncio.Protocol):
    """A connection to one replica; for one event loop."""

    def __init__(self) -> None:
        self._numbers = itertools.count(GOING + 1)
        self._frames = Frames()
        self._waiting: dict[int, asyncio.Future[Predicted | Failure]] = {}
        self._transport: asyncio.Transport | None = None
        self._going = False

    @property
    def open(self) -> bool:
        """Whether it takes requests."""
        return self._transport is not None and not self._going

    @property
    def load(self) -> int:
        """How many requests wait for their answer."""
        return len(self._waiting)

    async def ask(self, rows: Sequence[Row], timeout_s: float) -> Predicted | Failure:
        """Return the replica's answer.

        Raises:
            TimeoutError: there is none in time; the replica leaves it out if it comes to it later.
            LinkLostError: the replica ended, or ends.
        """
        if self._transport is None or self._going:
            raise LinkLostError
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Predicted | Failure] = loop.create_future()
        self._waiting[number] = future
        timer = loop.call_later(timeout_s, _expire, future)
        self._transport.write(frame(number, pack_request(rows, time.monotonic() + timeout_s)))
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(number, None)
            self._close_if_done()

    def leave(self) -> None:
        """Take no more requests, and close when those under way are answered."""
        self._going = True
        self._close_if_done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are asyncio's in all but name.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Give each answer to who waits for it."""
        for number, body in self._frames.feed(data):
            if number == GOING:
                self.leave()
                continue
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result(unpack_answer(body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkLostError(exc))

    def _close_if_done(self) -> None:
        if self._going and not self._waiting and self._transport is not None:
            self._transport.close()


def _expire(future: asyncio.Future[Predicted | Failure]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


class Links:
    """The links to all replicas of one application on this machine."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def best(self, without: Link | None = None) -> Link | None:
        """Return the link with the fewest requests under way, or None if there is none."""
        able = [link for link in self._links.values() if link.open and link is not without]
        return min(able, key=lambda link: link.load, default=None)

    async def follow(self, paths: Iterable[str]) -> None:
        """Open links to new replicas, and leave those that are gone."""
        wanted = set(paths)
        for path in list(self._links):
            if path not in wanted or not self._links[path].open:
                self._links.pop(path).leave()
        for path in wanted - set(self._links):
            link = await _connect(path)
            if link is not None:
                self._links[path] = link

    def close(self) -> None:
        """Leave all links."""
        for link in self._links.values():
            link.leave()
        self._links.clear()


async def _connect(path: str) -> Link | None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, link = await loop.create_unix_connection(Link, path)
    except OSError:
        # TimeoutError is one: the replica ends or hangs, and is asked for again soon.
        return None
    return link
