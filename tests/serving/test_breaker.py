"""A breaker opens where calls fail, rests, probes one at a time, and closes where they succeed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.traffic.breaker import CLOSED, RULES, Breaker, Breakers, Outcome, Permit, ask, tell
from tests.serving.fakes import Clock

OUTCOMES = st.sampled_from(["answered", "failed", "void"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.floats(0, 20)),
        st.tuples(st.just("tell"), OUTCOMES, st.integers(0, 30)),
    ),
    max_size=200,
)


def fed(outcomes: Sequence[Outcome], now: float = 0.0) -> Breaker:
    """A breaker after calls, one after the other."""
    state = CLOSED
    for outcome in outcomes:
        state, permit = ask(state, now)
        assert permit is not None
        state = tell(state, permit, outcome, now)
    return state


def opened() -> Breaker:
    return fed(["failed"] * RULES.least_calls)


def probe(state: Breaker, now: float) -> tuple[Breaker, Permit]:
    state, permit = ask(state, now)
    assert permit is not None
    return state, permit


def test_it_opens_at_the_failure_rate_and_not_before_the_least_calls() -> None:
    assert fed(["failed"] * (RULES.least_calls - 1)).position == "closed"
    assert opened().position == "open"
    mostly_good: list[Outcome] = ["answered"] * 11 + ["failed"] * 9
    assert fed(mostly_good).position == "closed"
    assert fed([*mostly_good, "failed"]).position == "open"


def test_calls_that_say_nothing_of_the_variant_change_nothing() -> None:
    assert fed(["void"] * 100) == CLOSED


def test_old_calls_leave_the_window() -> None:
    state = fed([*(["failed"] * 4), *(["answered"] * 16)][::-1])
    assert state.failures.bit_count() == 4
    more: list[Outcome] = ["answered"] * RULES.window
    for outcome in more:
        state = tell(state, Permit(state.epoch), outcome, 0)
    assert state.failures == 0
    assert state.calls == RULES.window


def test_open_lets_nothing_pass_until_its_rest_is_over() -> None:
    state = opened()
    assert ask(state, RULES.rest - 0.01)[1] is None
    state, permit = ask(state, RULES.rest)
    assert permit is not None
    assert state.position == "half-open"


def test_half_open_lets_one_call_pass_at_a_time() -> None:
    state, permit = probe(opened(), RULES.rest)
    assert ask(state, RULES.rest + 100)[1] is None
    state = tell(state, permit, "answered", RULES.rest)
    assert state.position == "half-open"
    assert ask(state, RULES.rest)[1] is not None


def test_a_probe_whose_caller_left_makes_room_for_the_next() -> None:
    state, permit = probe(opened(), RULES.rest)
    state = tell(state, permit, "void", RULES.rest)
    assert ask(state, RULES.rest)[1] is not None


def test_it_closes_after_enough_probes_and_forgets_the_failures() -> None:
    state = opened()
    for _ in range(RULES.probes):
        state, permit = probe(state, RULES.rest)
        state = tell(state, permit, "answered", RULES.rest)
    assert state.position == "closed"
    assert (state.calls, state.failures) == (0, 0)


def test_each_failed_probe_doubles_the_rest_up_to_the_longest() -> None:
    state, now, rests = opened(), 0.0, []
    for _ in range(6):
        now = state.until
        state, permit = probe(state, now)
        state = tell(state, permit, "failed", now)
        rests.append(state.until - now)
    assert rests == [10, 20, 40, 60, 60, 60]


def test_calls_from_before_it_opened_are_not_held_against_a_later_position() -> None:
    _, old = ask(CLOSED, 0)
    assert old is not None
    half, _ = probe(opened(), RULES.rest)
    assert tell(half, old, "failed", RULES.rest) == half
    assert tell(opened(), old, "answered", 1) == opened()


@settings(deadline=None)
@given(STEPS)
def test_whatever_happens_its_state_is_sound(steps: list[tuple[object, ...]]) -> None:
    state, now, out, probes = CLOSED, 0.0, list[Permit](), set[Permit]()
    for step in steps:
        if step[0] == "ask":
            now += float(str(step[1]))
            state, permit = ask(state, now)
            if permit is not None:
                out.append(permit)
            if state.position == "half-open" and permit is not None:
                assert not probes, "two probes at once"
                probes.add(permit)
        elif out:
            permit = out.pop(int(str(step[2])) % len(out))
            outcome: Outcome = step[1]  # type: ignore[assignment]
            before = state
            state = tell(state, permit, outcome, now)
            if permit.epoch == before.epoch:
                probes.discard(permit)
        probes = {permit for permit in probes if permit.epoch == state.epoch}
        assert state.probing == bool(probes)
        assert (ask(state, now)[1] is None) == (
            (state.position == "open" and now < state.until) or state.probing
        )
        assert 0 <= state.calls <= RULES.window
        assert state.failures.bit_count() <= state.calls
        assert state.rest <= RULES.longest_rest
        assert state.position != "open" or state.until - now <= RULES.longest_rest


@settings(deadline=None)
@given(st.lists(OUTCOMES, max_size=100))
def test_without_failures_it_never_opens(outcomes: list[Outcome]) -> None:
    assert fed([one for one in outcomes if one != "failed"]).position == "closed"


@settings(deadline=None)
@given(st.integers(0, 40))
def test_a_variant_that_recovers_is_asked_again(broken_for: int) -> None:
    state, now = opened(), 0.0
    for _ in range(broken_for):
        now = state.until
        state, permit = probe(state, now)
        state = tell(state, permit, "failed", now)
    assert state.until - now <= RULES.longest_rest
    now = state.until
    for _ in range(RULES.probes):
        state, permit = probe(state, now)
        state = tell(state, permit, "answered", now)
    assert state.position == "closed"


def test_each_variant_has_a_breaker_of_its_own_until_it_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    breakers = Breakers(clock=clock)
    for _ in range(RULES.least_calls):
        permit = breakers.ask("one")
        assert permit is not None
        breakers.tell("one", permit, "failed")
    assert (breakers.position("one"), breakers.position("two")) == ("open", "closed")
    assert "the circuit breaker of one is open" in caplog.text
    assert breakers.ask("one") is None
    clock.now += RULES.rest
    assert breakers.ask("one") is not None
    assert breakers.position("one") == "half-open"
    breakers.keep(["two"])
    assert breakers.position("one") == "closed"
