"""Figures of the last minute are near the truth, and forget what is older."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.traffic.recent import SECONDS, Recent


def test_nothing_has_no_quantiles() -> None:
    found = Recent(0).last_minute(10)
    assert (found.requests, found.per_second, found.error_rate) == (0, 0, 0)
    assert found.p50_ms is found.p95_ms is found.p99_ms is None


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 50_000), min_size=1, max_size=200))
def test_quantiles_are_at_most_five_percent_off(latencies: list[float]) -> None:
    recent = Recent(0)
    for latency in latencies:
        recent.add(1, latency, failed=False)
    found = recent.last_minute(1)
    ordered = sorted(latencies)
    for share, told in ((0.5, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms)):
        true = ordered[math.ceil(share * len(ordered)) - 1]
        assert told == pytest.approx(true, rel=0.05)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=100))
def test_what_is_older_than_a_minute_is_forgotten(events: list[tuple[int, bool]]) -> None:
    recent = Recent(0)
    events.sort()
    for second, failed in events:
        recent.add(second + 0.5, 1.0, failed=failed)
    now = events[-1][0] if events else 0
    living = [failed for second, failed in events if second > now - SECONDS]
    found = recent.last_minute(now + 0.9)
    assert found.requests == len(living)
    assert found.error_rate == pytest.approx(sum(living) / len(living) if living else 0)


def test_the_rate_of_a_young_endpoint_is_over_its_life() -> None:
    recent = Recent(100)
    for number in range(50):
        recent.add(100 + number / 10, 1.0, failed=False)
    assert recent.last_minute(105).per_second == pytest.approx(10)


def test_extreme_latencies_have_a_place() -> None:
    recent = Recent(0)
    recent.add(0, 0.0, failed=False)
    recent.add(0, 1e9, failed=False)
    found = recent.last_minute(0)
    assert found.requests == 2
    assert found.p50_ms is not None
    assert found.p50_ms <= 0.01
    assert found.p99_ms is not None
    assert found.p99_ms > 50_000
