"""How many requests a key may send: a token bucket for each, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

BURST_SECONDS: Final = 10.0
"""What a key may send at once after a pause: ten seconds' worth, and always one request."""
MINUTE: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """Counts requests; not for use by several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, per_minute: int) -> float:
        """Count one request; return 0, or the seconds after which it may come again.

        Of any stretch of T seconds, at most ``(T + 10) * per_minute / 60`` requests pass, or one
        and as many as come in T seconds where that is more.
        """
        rate = per_minute / MINUTE
        most = max(1.0, rate * BURST_SECONDS)
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(most, now)
        bucket.tokens = min(most, bucket.tokens + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return 0.0

    def keep(self, keys: Container[str]) -> None:
        """Forget all other keys."""
        self._buckets = {key: kept for key, kept in self._buckets.items() if key in keys}
