"""Where versions come from, as MLflow knows it: asked in a process of its own, once a version.

MLflow's client takes seconds to import and 120 MB to hold, which no process that answers requests
shall spend.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from modelyard.errors import TrackingError
from modelyard.tracking.lineage import Origin, read_answer

MODULE: Final = "modelyard.tracking.lineage"
SECONDS: Final = 30.0
UNKNOWN_SECONDS: Final = 60.0
MOST_KEPT: Final = 1000

type Find = Callable[[str, int], Origin | None]


class Origins:
    """Remembers what was found for good, for it never changes, and what was not for a minute."""

    def __init__(
        self, find: Find | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find or find_in_process
        self._clock = clock
        self._known: dict[tuple[str, int], Origin] = {}
        self._unknown: dict[tuple[str, int], tuple[float, TrackingError | None]] = {}
        # One at a time: whoever asks for many versions waits, and the machine does not.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="origins")

    async def find(self, model: str, version: int) -> Origin | None:
        """Return a version's origin; None if MLflow has no such version.

        Raises:
            TrackingError: MLflow does not answer.
        """
        loop = asyncio.get_running_loop()
        return self.kept(model, version) or await loop.run_in_executor(
            self._thread, self._look, model, version
        )

    def kept(self, model: str, version: int) -> Origin | None:
        """Return what is known without asking."""
        return self._known.get((model, version))

    def close(self) -> None:
        """Ask no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _look(self, model: str, version: int) -> Origin | None:
        key = (model, version)
        if found := self._known.get(key):
            return found
        since, error = self._unknown.get(key, (float("-inf"), None))
        if self._clock() - since < UNKNOWN_SECONDS:
            if error is not None:
                raise error
            return None
        return self._ask(key)

    def _ask(self, key: tuple[str, int]) -> Origin | None:
        if len(self._known) + len(self._unknown) >= MOST_KEPT:
            self._known.clear()
            self._unknown.clear()
        try:
            found = self._find(*key)
        except TrackingError as error:
            self._unknown[key] = (self._clock(), error)
            raise
        if found is None:
            self._unknown[key] = (self._clock(), None)
        else:
            self._known[key] = found
        return found


def find_in_process(model: str, version: int) -> Origin | None:
    """Ask MLflow in another process.

    Raises:
        TrackingError: that process failed, or took too long.
    """
    command = [sys.executable, "-m", MODULE, model, str(version)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        message = "MLflow does not answer"
        raise TrackingError(message) from error
    return read_answer(done.stdout, done.returncode)
