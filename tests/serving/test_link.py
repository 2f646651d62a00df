"""A link carries many requests at once, each answer to its asker, and says at once when it is lost."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.model.backend import Predicted
from serving.model.predictor import Failure
from serving.requests.rows import Row
from serving.transport.link import (
    Frames,
    frame,
    pack_answer,
    pack_request,
    unpack_answer,
    unpack_request,
)
from serving.transport.link_client import Link, LinkLostError, Links
from serving.transport.link_server import LinkServer

ROW = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=50),
    max_size=4,
)


class Doubler:
    """Doubles `n` of each row; waits at the gate, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, requests: Sequence[Sequence[Row]]) -> list[Predicted | Failure]:
        self.batches.append([len(rows) for rows in requests])
        self.entered.set()
        self.gate.wait(10)
        if any(row["n"] == "fault" for rows in requests for row in rows):
            raise ZeroDivisionError
        return [self._one(rows) for rows in requests]

    @staticmethod
    def _one(rows: Sequence[Row]) -> Predicted | Failure:
        if any(row["n"] is None for row in rows):
            return Failure("n is missing", by_its_rows=True)
        return Predicted([{"n": {"prediction": 2 * int(str(row["n"]))}} for row in rows], 1.5)


def rows_of(*numbers: object) -> list[Row]:
    return [{"n": number} for number in numbers]


def doubled(answer: Predicted | Failure) -> list[object]:
    assert isinstance(answer, Predicted)
    return [output["n"]["prediction"] for output in answer.outputs]


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


@pytest.fixture
def server(doubler: Doubler) -> Iterator[LinkServer]:
    made = LinkServer(doubler, most=100)
    yield made
    doubler.gate.set()
    made.close(5)
    assert not made.alive


def talk[T](server: LinkServer, say: Callable[[Link], Coroutine[None, None, T]]) -> T:
    """Open a link, say something, and leave."""

    async def run() -> T:
        links = Links()
        await links.follow([server.path])
        link = links.best()
        assert link is not None
        try:
            return await say(link)
        finally:
            links.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


def test_each_request_gets_its_own_answer(server: LinkServer) -> None:
    async def ask(link: Link) -> list[list[object]]:
        asked = [link.ask(rows_of(n, n + 1), 10) for n in range(50)]
        return [doubled(answer) for answer in await asyncio.gather(*asked)]

    assert talk(server, ask) == [[2 * n, 2 * n + 2] for n in range(50)]


def test_what_arrives_while_a_batch_is_computed_is_the_next(
    server: LinkServer, doubler: Doubler
) -> None:
    async def ask(link: Link) -> None:
        doubler.gate.clear()
        first = asyncio.create_task(link.ask(rows_of(0), 10))
        await until(doubler.entered)
        others = [asyncio.create_task(link.ask(rows_of(n), 10)) for n in (1, 2, 3)]
        await asyncio.sleep(0.05)
        doubler.gate.set()
        await asyncio.gather(first, *others)

    talk(server, ask)
    assert doubler.batches == [[1], [1, 1, 1]]


def test_batches_are_bounded_by_rows(server: LinkServer, doubler: Doubler) -> None:
    async def ask(link: Link) -> None:
        asked = [link.ask(rows_of(*range(60)), 10) for _ in range(4)]
        await asyncio.gather(*asked, link.ask(rows_of(*range(200)), 10))

    talk(server, ask)
    assert all(len(batch) == 1 or sum(batch) <= 100 for batch in doubler.batches)
    assert sum(map(sum, doubler.batches)) == 4 * 60 + 200


def test_rows_that_the_model_refuses_are_refused_for_their_caller_alone(
    server: LinkServer,
) -> None:
    async def ask(link: Link) -> list[Predicted | Failure]:
        return await asyncio.gather(link.ask(rows_of(None), 10), link.ask(rows_of(4), 10))

    refused, answered = talk(server, ask)
    assert refused == Failure("n is missing", by_its_rows=True)
    assert doubled(answered) == [8]


def test_a_fault_in_a_batch_is_told_and_the_link_lives_on(server: LinkServer) -> None:
    async def ask(link: Link) -> Predicted | Failure:
        failed = await link.ask(rows_of("fault"), 10)
        assert failed == Failure("ZeroDivisionError", by_its_rows=False)
        return await link.ask(rows_of(1), 10)

    assert doubled(talk(server, ask)) == [2]


def test_who_has_stopped_waiting_is_not_computed(server: LinkServer, doubler: Doubler) -> None:
    async def ask(link: Link) -> None:
        doubler.gate.clear()
        first = asyncio.create_task(link.ask(rows_of(0), 10))
        await until(doubler.entered)
        with pytest.raises(TimeoutError):
            await link.ask(rows_of(1), 0.02)
        doubler.gate.set()
        assert doubled(await first) == [0]
        assert doubled(await link.ask(rows_of(2), 10)) == [4]

    talk(server, ask)
    assert doubler.batches == [[1], [1]]


def test_a_replica_that_ends_answers_what_it_has_and_takes_no_more(doubler: Doubler) -> None:
    server = LinkServer(doubler, most=100)

    async def ask(link: Link) -> list[object]:
        doubler.gate.clear()
        asked = asyncio.create_task(link.ask(rows_of(7), 10))
        await until(doubler.entered)
        ending = asyncio.create_task(asyncio.to_thread(server.close, 10))
        doubler.gate.set()
        answer = await asked
        await ending
        assert not link.open
        with pytest.raises(LinkLostError):
            await link.ask(rows_of(1), 10)
        return doubled(answer)

    assert talk(server, ask) == [14]
    assert not server.alive


def test_a_lost_link_is_known_at_once() -> None:
    async def ask() -> None:
        held: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.put_nowait(writer)

        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/link"
            listener = await asyncio.start_unix_server(hold, path)
            links = Links()
            await links.follow([path])
            link = links.best()
            assert link is not None
            asked = asyncio.create_task(link.ask(rows_of(1), 10))
            (await held.get()).transport.abort()
            with pytest.raises(LinkLostError):
                await asked
            assert links.best() is None
            listener.close()

    asyncio.run(asyncio.wait_for(ask(), 5))


def test_the_least_loaded_link_is_asked_and_a_dead_one_is_not(doubler: Doubler) -> None:
    servers = [LinkServer(doubler, most=100) for _ in range(2)]

    async def run() -> None:
        links = Links()
        await links.follow([server.path for server in servers] + ["/nowhere/at/all"])
        doubler.gate.clear()
        first = links.best()
        assert first is not None
        asked = asyncio.create_task(first.ask(rows_of(1), 10))
        await asyncio.sleep(0)
        second = links.best()
        assert second is not None
        assert second is not first
        assert links.best(without=second) is first
        doubler.gate.set()
        await asked
        links.close()
        await asyncio.sleep(0)

    asyncio.run(run())
    for server in servers:
        server.close(5)
        assert not server.alive


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.integers(0, 99) | st.none(), max_size=5), max_size=30))
def test_whatever_is_asked_together_each_caller_gets_its_own_in_order(
    asked: list[list[int | None]],
) -> None:
    server = LinkServer(Doubler(), most=7)

    async def ask(link: Link) -> list[Predicted | Failure]:
        return await asyncio.gather(*(link.ask(rows_of(*numbers), 10) for numbers in asked))

    for numbers, answer in zip(asked, talk(server, ask), strict=True):
        if None in numbers:
            assert answer == Failure("n is missing", by_its_rows=True)
        else:
            assert doubled(answer) == [2 * number for number in numbers if number is not None]
    server.close(5)
    assert not server.alive


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 30))
def test_frames_survive_any_cutting(bodies: list[bytes], piece: int) -> None:
    stream = b"".join(frame(number, body) for number, body in enumerate(bodies))
    frames = Frames()
    found = [
        item
        for start in range(0, len(stream), piece)
        for item in frames.feed(stream[start : start + piece])
    ]
    assert found == list(enumerate(bodies))


@settings(deadline=None)
@given(st.lists(ROW, max_size=3), st.floats(0, 1e9))
def test_rows_arrive_as_they_were_sent(rows: list[Row], until: float) -> None:
    assert unpack_request(pack_request(rows, until)) == (until, rows)


@pytest.mark.parametrize(
    "answer",
    [
        Predicted([{"a": {"prediction": "x", "probabilities": {"x": 0.5, "y": 0.5}}}], 2.5),
        Predicted([{"mask": {"prediction": "aGVsbG8=", "share": 0.25}}, {}], 0.0),
        Predicted([{"a": {"prediction": "x"}}], 1.0, b"\x00\x00\x80?"),
        Failure("no such column", by_its_rows=True),
    ],
)
def test_answers_arrive_as_they_were_given(answer: Predicted | Failure) -> None:
    assert unpack_answer(pack_answer(answer)) == answer
