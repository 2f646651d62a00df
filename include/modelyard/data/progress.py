"""Lines in the log for work that takes more than a moment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

EVERY = 2.0
KIBI = 1024


class Progress:
    """Say how far the work is, at most every two seconds; may be told from several threads."""

    def __init__(
        self, log: logging.Logger, what: str, total: int | None, spell: Callable[[int], str] = str
    ) -> None:
        self._log = log
        self._what = what
        self._total = total
        self._spell = spell
        self._done = 0
        self._said = time.monotonic()
        self._lock = threading.Lock()

    def add(self, amount: int = 1) -> None:
        """Count finished work."""
        with self._lock:
            self._done += amount
            if time.monotonic() - self._said < EVERY:
                return
            self._said = time.monotonic()
            done = self._done
        whole = "" if self._total is None else f" of {self._spell(self._total)}"
        self._log.info("%s: %s%s", self._what, self._spell(done), whole)


def size_text(size: int) -> str:
    """Spell a number of bytes for people."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < KIBI:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= KIBI
    return f"{amount:.1f} GiB"
