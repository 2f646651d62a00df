"""Modelyard's database as the endpoint asks it: in threads of its own, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from modelyard.errors import StoreError
from modelyard.store.database import Store, open_store
from serving.http.problems import Refusal

# A database that hangs holds these threads, and none of those that check images.
THREADS: Final = 2
ASK_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 5


class Stored:
    """Opens the database when it is first asked, so that the endpoint starts without it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")

    async def ask[T](self, query: Callable[[Store], T]) -> T:
        """Return what a query returns.

        Raises:
            Refusal: 503 while the database does not answer.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await loop.run_in_executor(self._threads, self._ask, query)
        except (StoreError, TimeoutError) as error:
            # The error's own text may name hosts and users, which are not the caller's business.
            detail = "the database does not answer; predictions go on without it"
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Refusal(status, detail, retry_after=RETRY_SECONDS) from error

    def close(self) -> None:
        """Close its connections; for the end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def _ask[T](self, query: Callable[[Store], T]) -> T:
        with self._lock:
            if self._store is None:
                self._store = open_store(self._url)
            store = self._store
        return query(store)
