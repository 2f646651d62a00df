"""What arrives while a batch is computed makes the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.transport.batcher import Batcher


class Slow:
    """Doubles numbers; waits at the gate, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.entered.set()
        self.gate.wait(10)
        if 13 in numbers:
            raise ZeroDivisionError
        return [2 * number for number in numbers]


def batcher(slow: Slow, most: int = 100) -> Batcher[int, int]:
    return Batcher(slow, size=lambda _: 1, most=most)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def ask_while_busy(made: Batcher[int, int], slow: Slow, numbers: Sequence[int]) -> list[int]:
    """Ask one number, and the others while it is computed."""
    first = asyncio.create_task(made.ask(0))
    await until(slow.entered)
    others = [asyncio.create_task(made.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    slow.gate.set()
    return [await task for task in (first, *others)]


def test_a_lone_request_is_answered_at_once() -> None:
    slow = Slow()
    slow.gate.set()
    assert asyncio.run(batcher(slow).ask(3)) == 6


def test_what_arrives_meanwhile_is_one_batch() -> None:
    slow = Slow()
    assert asyncio.run(ask_while_busy(batcher(slow), slow, [1, 2, 3])) == [0, 2, 4, 6]
    assert slow.batches == [[0], [1, 2, 3]]


def test_a_batch_has_a_limit() -> None:
    slow = Slow()
    asyncio.run(ask_while_busy(batcher(slow, most=2), slow, [1, 2, 3, 4, 5]))
    assert slow.batches == [[0], [1, 2], [3, 4], [5]]


def test_a_request_above_the_limit_is_a_batch_of_its_own() -> None:
    slow = Slow()
    made: Batcher[int, int] = Batcher(slow, size=lambda number: number, most=10)
    asyncio.run(ask_while_busy(made, slow, [4, 50, 5, 5]))
    assert slow.batches == [[0], [4], [50], [5, 5]]


def test_who_has_gone_is_not_computed() -> None:
    slow = Slow()

    async def leave() -> None:
        made = batcher(slow)
        first = asyncio.create_task(made.ask(0))
        await until(slow.entered)
        gone, stays = asyncio.create_task(made.ask(1)), asyncio.create_task(made.ask(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        slow.gate.set()
        assert [await first, await stays] == [0, 4]

    asyncio.run(leave())
    assert slow.batches == [[0], [2]]


def test_a_fault_reaches_those_of_its_batch_and_nobody_else() -> None:
    slow = Slow()
    slow.gate.set()

    async def ask() -> None:
        made = batcher(slow)
        with pytest.raises(ZeroDivisionError):
            await made.ask(13)
        assert await made.ask(1) == 2

    asyncio.run(ask())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(14, 99), max_size=30), st.integers(1, 5))
def test_everyone_gets_an_answer_of_their_own(numbers: list[int], most: int) -> None:
    slow = Slow()
    slow.gate.set()

    async def ask() -> list[int]:
        made = batcher(slow, most)
        return list(await asyncio.gather(*(made.ask(number) for number in numbers)))

    assert asyncio.run(ask()) == [2 * number for number in numbers]
    assert all(len(batch) <= most for batch in slow.batches)
