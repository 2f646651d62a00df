"""How a version did in the last minute: counts and quantiles in little memory."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 60
# A bucket is 5 % wider than the one before; 330 of them lie between 0.01 ms and 100 s.
GROWTH: Final = math.log(1.05)
SMALLEST_MS: Final = 0.01
LAST_BUCKET: Final = 330


@dataclass(frozen=True, slots=True)
class LastMinute:
    """Figures of the last minute; quantiles, in milliseconds, are at most 5 % off."""

    requests: int
    per_second: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Recent:
    """A ring of seconds, each with its counts; times come from the caller's steady clock."""

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._stamps = [-1] * SECONDS
        self._errors = [0] * SECONDS
        self._counts: list[Counter[int]] = [Counter() for _ in range(SECONDS)]

    def add(self, now: float, milliseconds: float, failed: bool) -> None:
        """Count one request; one that failed has no latency."""
        slot = self._slot(int(now))
        if failed:
            self._errors[slot] += 1
        else:
            self._counts[slot][_bucket(milliseconds)] += 1

    def _slot(self, second: int) -> int:
        slot = second % SECONDS
        if self._stamps[slot] != second:
            self._stamps[slot] = second
            self._errors[slot] = 0
            self._counts[slot] = Counter()
        return slot

    def last_minute(self, now: float) -> LastMinute:
        """Add the seconds up."""
        since = int(now) - SECONDS
        live = [slot for slot, stamp in enumerate(self._stamps) if stamp > since]
        counts: Counter[int] = Counter()
        for slot in live:
            counts.update(self._counts[slot])
        answered, failed = counts.total(), sum(self._errors[slot] for slot in live)
        asked = answered + failed
        over = min(max(now - self._begun, 1.0), SECONDS)
        return LastMinute(
            requests=asked,
            per_second=asked / over,
            error_rate=failed / asked if asked else 0.0,
            p50_ms=_quantile(counts, answered, 0.5),
            p95_ms=_quantile(counts, answered, 0.95),
            p99_ms=_quantile(counts, answered, 0.99),
        )


def _bucket(milliseconds: float) -> int:
    if milliseconds <= SMALLEST_MS:
        return 0
    return min(int(math.log(milliseconds / SMALLEST_MS) / GROWTH) + 1, LAST_BUCKET)


def _quantile(counts: Counter[int], total: int, share: float) -> float | None:
    """Return the middle of the bucket that holds the quantile; None of nothing."""
    rank = math.ceil(share * total)
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return round(SMALLEST_MS * math.exp((bucket - 0.5) * GROWTH), 4)
    return None
