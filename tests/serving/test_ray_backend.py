"""A replica that dies is answered for by another; what cannot be answered is told by its kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from serving.http.problems import Refusal
from serving.model.backend import Predicted, VariantFault
from serving.model.predictor import Failure
from serving.requests.rows import Row
from serving.transport.link_client import Link, Links
from serving.transport.link_server import LinkServer

pytestmark = pytest.mark.heavy
ray_backend = pytest.importorskip("serving.transport.ray_backend")
ROWS: list[Row] = [{"n": 1}]


class Replica:
    """A replica in this process; waits at the gate, and can be killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.answer: Predicted | Failure = Predicted([{"by": {"prediction": name}}], 1.0)
        self.server = LinkServer(self._answer, most=10)

    def _answer(self, requests: Sequence[Sequence[Row]]) -> list[Predicted | Failure]:
        self.entered.set()
        self.gate.wait(10)
        return [self.answer for _ in requests]

    def close(self) -> None:
        self.gate.set()
        self.server.close(5)


@dataclass
class Handle:
    """Serve's handle: raises or returns what it is told, in turn."""

    outcomes: list[object]
    called: int = 0

    @property
    def predict(self) -> Handle:
        return self

    async def remote(self, *_arguments: object) -> object:
        self.called += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclass
class Variant:
    """What the backend knows of an application, without a cluster."""

    links: Links
    handle: Handle
    replicas: int = 2
    looked_for: int = 0
    opened: list[Link] = field(default_factory=list)

    def look(self) -> None:
        self.looked_for += 1

    def leave(self) -> None:
        self.links.close()


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    made = [Replica("a"), Replica("b")]
    yield made
    for replica in made:
        replica.close()


def ask(  # noqa: PLR0913 - what a test varies
    replicas: Sequence[Replica],
    outcomes: Sequence[object] = (),
    *,
    meanwhile: Any = None,
    replaceable: Sequence[str] = (),
    running: int = 2,
    timeout_s: float = 10.0,
) -> tuple[Predicted, Variant]:
    """Ask a backend that has links to these replicas, and this handle."""

    async def run() -> tuple[Predicted, Variant]:
        backend = ray_backend.RayBackend()
        links = Links()
        await links.follow([replica.server.path for replica in replicas])
        variant = Variant(links, Handle(list(outcomes)), replicas=running)
        backend._variants["app"] = cast("Any", variant)
        await backend.follow(["app"], replaceable)
        try:
            asked: Coroutine[Any, Any, Predicted] = backend.predict("app", ROWS, timeout_s)
            task = asyncio.create_task(asked)
            if meanwhile is not None:
                await meanwhile(links)
            return await task, variant
        finally:
            links.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


def who(answer: Predicted) -> object:
    return answer.outputs[0]["by"]["prediction"]


def killer(replicas: Sequence[Replica]) -> Any:
    """Cut the connection of the replica that is asked, as its death does."""

    async def kill(links: Links) -> None:
        while not any(replica.entered.is_set() for replica in replicas):  # noqa: ASYNC110 - any thread's
            await asyncio.sleep(0.002)
        for link in links._links.values():
            if link.load:
                assert link._transport is not None
                link._transport.abort()
        for replica in replicas:
            if replica.entered.is_set():
                replica.entered.clear()

    return kill


def test_when_a_replica_dies_under_a_request_another_answers_it(replicas: list[Replica]) -> None:
    first, second = replicas
    first.gate.clear()
    second.gate.clear()

    async def meanwhile(links: Links) -> None:
        await killer(replicas)(links)
        first.gate.set()
        second.gate.set()

    answer, variant = ask(replicas, meanwhile=meanwhile)
    assert who(answer) in {"a", "b"}
    assert variant.looked_for == 1
    assert variant.handle.called == 0


def test_without_another_replica_here_serve_is_asked_which_waits_for_one(
    replicas: list[Replica],
) -> None:
    replicas[0].gate.clear()

    async def meanwhile(links: Links) -> None:
        await killer(replicas)(links)
        replicas[0].gate.set()

    elsewhere = Predicted([{"by": {"prediction": "elsewhere"}}], 1.0)
    answer, variant = ask(replicas[:1], [elsewhere], meanwhile=meanwhile)
    assert who(answer) == "elsewhere"
    assert variant.handle.called == 1


def test_a_replica_elsewhere_that_dies_is_asked_once_more() -> None:
    from ray.exceptions import ActorDiedError

    elsewhere = Predicted([{"by": {"prediction": "elsewhere"}}], 1.0)
    answer, variant = ask([], [ActorDiedError(), elsewhere])
    assert who(answer) == "elsewhere"
    assert variant.handle.called == 2


def test_a_variant_that_another_stands_in_for_is_not_waited_for() -> None:
    with pytest.raises(VariantFault, match="no process") as fault:
        ask([], replaceable=["app"], running=0)
    assert fault.value.kind == "down"


def faults() -> dict[str, Exception]:
    from ray.exceptions import ActorDiedError, RayTaskError
    from ray.serve.exceptions import BackPressureError, RayServeException

    return {
        "overloaded": BackPressureError(num_queued_requests=1, max_queued_requests=1),
        "down": RayServeException("gone"),
        "failed": RayTaskError("predict", "traceback", ValueError("secret")),
        "dead": ActorDiedError(),
    }


@pytest.mark.parametrize("kind", ["overloaded", "down", "failed"])
def test_faults_are_told_by_their_kind_and_without_a_traceback(kind: str) -> None:
    with pytest.raises(VariantFault) as fault:
        ask([], [faults()[kind]])
    assert fault.value.kind == kind
    assert "secret" not in fault.value.detail


def test_who_is_dead_twice_is_down() -> None:
    with pytest.raises(VariantFault) as fault:
        ask([], [faults()["dead"], faults()["dead"]])
    assert fault.value.kind == "down"


def test_what_takes_too_long_is_a_timeout(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.gate.clear()
    with pytest.raises(VariantFault) as fault:
        ask(replicas, timeout_s=0.05)
    assert fault.value.kind == "timeout"


def test_rows_that_the_model_cannot_take_are_the_callers_fault(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.answer = Failure("row 1: n is missing", by_its_rows=True)
    with pytest.raises(Refusal, match="n is missing") as refusal:
        ask(replicas)
    assert refusal.value.document.status == 422


def test_a_model_that_raises_is_the_variants_fault(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.answer = Failure("ValueError", by_its_rows=False)
    with pytest.raises(VariantFault) as fault:
        ask(replicas)
    assert fault.value.kind == "failed"


def test_a_replica_with_too_many_requests_takes_no_more(
    replicas: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_backend, "MOST_UNDER_WAY", 0)
    with pytest.raises(VariantFault) as fault:
        ask(replicas)
    assert fault.value.kind == "overloaded"
