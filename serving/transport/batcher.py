"""Batch what waits: one batch is computed at a time, and what arrives meanwhile makes the next.

Serve's own `batch` closes a batch by the clock and not when the model is free: without a wait it
never has more than one request in a batch, and with one each lone request waits for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence


class Batcher[Q, A]:
    """Computes answers in a thread, so that the event loop stays free; for one event loop.

    Args:
        answer: Answers several requests at once, in their order.
        size: How large a request is.
        most: How large a batch may be; a larger request is a batch of its own.
    """

    def __init__(
        self, answer: Callable[[Sequence[Q]], Sequence[A]], size: Callable[[Q], int], most: int
    ) -> None:
        self._answer = answer
        self._size = size
        self._most = most
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, request: Q) -> A:
        """Return the request's answer; raises what `answer` raised for its batch."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while batch := self._next():
            try:
                answers = await asyncio.to_thread(self._answer, [request for request, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is raised to those who asked
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)

    def _next(self) -> list[tuple[Q, asyncio.Future[A]]]:
        """Take what waits and fits, without those whose caller has gone."""
        batch: list[tuple[Q, asyncio.Future[A]]] = []
        total = 0
        while self._waiting:
            request, future = self._waiting[0]
            total += self._size(request)
            if batch and total > self._most:
                break
            self._waiting.popleft()
            if future.done():
                total -= self._size(request)
            else:
                batch.append((request, future))
        return batch
