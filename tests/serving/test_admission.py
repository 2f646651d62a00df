"""Under overload some are refused at once, and the others are answered as quickly as before."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from serving.http import admission
from serving.http.admission import (
    FEWEST_UNDER_WAY,
    MOST_BYTES_UNDER_WAY,
    Admission,
    AdmissionFigures,
    Capacity,
)

HEAD: Scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}


def serve_at(capacity: Capacity, rate: float, seconds: float) -> None:
    """Answer one after the other at a rate, with always one under way."""
    now = 0.0
    while now < seconds:
        assert capacity.enter(0, now)
        now += 1 / rate
        capacity.leave(0, now, answered=True)


@pytest.mark.parametrize(
    ("rate", "limit"), [(20.0, 20), (1000.0, 128), (1.0, FEWEST_UNDER_WAY), (64.0, 64)]
)
def test_the_bound_follows_from_how_fast_answers_are(rate: float, limit: int) -> None:
    capacity = Capacity(most=128, wait_s=1.0)
    serve_at(capacity, rate, 20)
    assert capacity.state.limit == pytest.approx(limit, rel=0.1)


def test_idle_time_says_nothing_of_how_fast_answers_are() -> None:
    capacity = Capacity(most=128, wait_s=1.0)
    for second in range(100):
        assert capacity.enter(0, float(second))
        capacity.leave(0, second + 0.005, answered=True)
    assert capacity.state.limit == 128


def test_failures_do_not_count_as_fast_answers() -> None:
    capacity = Capacity(most=128, wait_s=1.0)
    for number in range(4000):
        now = number / 1000
        assert capacity.enter(0, now)
        capacity.leave(0, now + 0.001, answered=False)
    assert capacity.state.limit == FEWEST_UNDER_WAY


def test_bodies_are_bounded_together() -> None:
    capacity = Capacity()
    assert capacity.enter(MOST_BYTES_UNDER_WAY - 10, 0)
    assert not capacity.enter(11, 0)
    capacity.refuse()
    assert capacity.enter(10, 0)
    capacity.leave(MOST_BYTES_UNDER_WAY - 10, 1, answered=True)
    assert capacity.enter(11, 1)


def crowd(capacity: Capacity, offered: int) -> int:
    """Offer so many requests at once, and return how many are admitted."""
    return sum(capacity.enter(0, 0) for _ in range(offered))


def test_a_crowd_that_fits_is_admitted_whole() -> None:
    assert crowd(Capacity(most=96), 96) == 96


def test_under_overload_fewer_are_admitted_than_on_a_calm_day_and_more_once_the_crowd_has_gone() -> (
    None
):
    capacity = Capacity(most=96)
    assert crowd(capacity, 200) == 96
    assert capacity.state.limit == 16
    for _ in range(90):
        capacity.leave(0, 1, answered=True)
    assert not capacity.enter(0, 1) or capacity.state.under_way <= 16
    while capacity.refusing:
        capacity.refuse()
    assert capacity.enter(0, 2)
    assert capacity.state.limit == 96
    assert capacity.state.refused >= 104


def test_a_short_burst_does_not_refuse_the_moderate_load_after_it() -> None:
    capacity = Capacity(most=96)
    crowd(capacity, 100)
    for _ in range(96):
        capacity.leave(0, 1, answered=True)
    for _ in range(4):
        capacity.refuse()
    assert crowd(capacity, 40) == 40


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "told"]), st.integers(0, 10**9))))
def test_no_order_of_events_exceeds_the_bound_or_loses_count(events: list[tuple[str, int]]) -> None:
    capacity = Capacity(most=10)
    inside: list[int] = []
    refusing = refused = 0
    for now, (event, size) in enumerate(events):
        if event == "in":
            admitted = capacity.enter(size, now)
            inside += [size] * admitted
            refusing += not admitted
        elif event == "out" and inside:
            capacity.leave(inside.pop(0), now, answered=True)
        elif event == "told" and refusing:
            capacity.refuse()
            refusing, refused = refusing - 1, refused + 1
        assert capacity.state.under_way == len(inside)
        assert (capacity.refusing, capacity.state.refused) == (refusing, refused)
        assert len(inside) <= 10
        assert sum(inside) <= MOST_BYTES_UNDER_WAY
        assert FEWEST_UNDER_WAY <= capacity.state.limit <= 10


async def answers(layer: Admission, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await layer(scope, receive, send)
    return sent


class Slow:
    """An application that answers when it is told to; counts who read its body."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.reached = 0

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.reached += 1
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_what_has_no_room_is_refused_with_a_word_when_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "REFUSED_AT_MOST_AFTER_SECONDS", 0.001)

    app, capacity = Slow(), Capacity(most=3)

    async def run() -> list[list[Message]]:
        layer = Admission(app, capacity)
        asked = [asyncio.create_task(answers(layer, HEAD)) for _ in range(10)]
        while sum(task.done() for task in asked) < 7:
            await asyncio.wait(asked, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
        app.gate.set()
        return await asyncio.gather(*asked)

    found = asyncio.run(run())
    assert app.reached == 3
    assert Counter(messages[0]["status"] for messages in found) == {200: 3, 503: 7}
    refusal = next(messages for messages in found if messages[0]["status"] == 503)
    headers = dict(refusal[0]["headers"])
    assert headers[b"retry-after"] == b"1"
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert json.loads(refusal[1]["body"])["status"] == 503
    assert capacity.state.under_way == 0
    assert capacity.state.refused == 7


@pytest.mark.parametrize("scope", [{**HEAD, "method": "GET"}, {"type": "lifespan"}])
def test_what_needs_no_model_is_never_refused(scope: Scope) -> None:
    async def run() -> int:
        app = Slow()
        app.gate.set()
        layer = Admission(app, Capacity(most=0))
        await answers(layer, scope)
        return app.reached

    assert asyncio.run(run()) == 1


def test_a_fault_of_the_application_frees_its_place() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError

    async def run() -> Capacity:
        capacity = Capacity(most=1)
        layer = Admission(fail, capacity)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await answers(layer, HEAD)
        return capacity

    assert asyncio.run(run()).state.under_way == 0


def test_prometheus_reads_how_many_were_refused() -> None:
    registry = CollectorRegistry()
    capacity = Capacity()
    registry.register(AdmissionFigures(capacity))
    assert [capacity.enter(MOST_BYTES_UNDER_WAY, 0), capacity.enter(1, 0)] == [True, False]
    capacity.refuse()
    assert registry.get_sample_value("modelyard_admission_refused_total") == 1
    assert registry.get_sample_value("modelyard_admission_under_way") == 1
    assert registry.get_sample_value("modelyard_admission_limit") == 96
