"""The token bucket of each key."""

from hypothesis import given
from hypothesis import strategies as st

from serving.access.rates import BURST_SECONDS, Rates


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    rates = Rates(clock)
    passed = [rates.take("key", 60) == 0 for _ in range(12)]
    assert passed == [True] * 10 + [False] * 2
    clock.now += 1
    assert [rates.take("key", 60) == 0 for _ in range(2)] == [True, False]


def test_a_refusal_says_when_to_come_again() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert rates.take("key", 1) == 0
    wait = rates.take("key", 1)
    assert wait == 60
    clock.now += wait
    assert rates.take("key", 1) == 0


def test_keys_do_not_share_a_bucket() -> None:
    rates = Rates(Clock())
    assert rates.take("one", 1) == 0
    assert rates.take("other", 1) == 0
    assert rates.take("one", 1) > 0


def test_keys_that_are_gone_are_forgotten() -> None:
    rates = Rates(Clock())
    rates.take("one", 1)
    rates.keep({"other"})
    assert rates.take("one", 1) == 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    clock = Clock()
    rates = Rates(clock)
    rates.take("key", 1)
    clock.now -= 1000
    assert rates.take("key", 1) > 0


@given(
    st.integers(1, 6000),
    st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200),
)
def test_no_stretch_of_time_has_more_than_the_rate_and_the_burst(
    per_minute: int, pauses: list[float]
) -> None:
    clock = Clock()
    rates = Rates(clock)
    begun = clock.now
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += rates.take("key", per_minute) == 0
    burst = max(1.0, BURST_SECONDS * per_minute / 60)
    assert passed <= burst + (clock.now - begun) * per_minute / 60 + 1e-6
    assert passed >= 1
