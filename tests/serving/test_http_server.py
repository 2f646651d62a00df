"""The endpoint's own server: several on one address, deadlines, and an end that loses no answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from modelyard.errors import ServingError
from modelyard.settings import Settings
from serving.http.connections import Connection
from serving.http.http_server import HttpServer, bind
from tests.serving.cluster import free_ports

LINE = b"POST /predict HTTP/1.1\r\nHost: x\r\n"


class App:
    """Reads the body and answers its length, once the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        size, more = 0, True
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        self.entered.set()
        while not self.gate.is_set():
            await _moment()
        content = str(size).encode()
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _moment() -> None:
    import asyncio

    await asyncio.sleep(0.005)


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    monkeypatch.setattr(Connection, "seconds", {"head": 0.2, "body": 0.3})
    monkeypatch.setattr(Connection, "most_head_bytes", 4096)
    monkeypatch.setattr(Connection, "most", 3)
    yield from serving(app, port)


def serving(app: App, port: int) -> Iterator[HttpServer]:
    made = HttpServer(Settings())
    made.listen(app, "127.0.0.1", port)
    yield made
    app.gate.set()
    made.stop_listening()
    made.close()
    assert not made.alive


def say(port: int, *parts: bytes) -> bytes:
    """Send parts and read until the server closes."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as opened:
        for part in parts:
            opened.sendall(part)
        found = b""
        while piece := opened.recv(65536):
            found += piece
        return found


@pytest.mark.usefixtures("server")
def test_a_request_is_answered_and_the_connection_is_kept(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for size in (0, 10, 200_000):
            answer = client.post("/predict", content=b"x" * size)
            assert (answer.status_code, answer.text) == (200, str(size))
            assert "server" not in answer.headers


@pytest.mark.usefixtures("server")
def test_who_sends_no_head_or_no_end_of_it_is_let_go(port: int) -> None:
    assert say(port).startswith(b"HTTP/1.1 408 ")
    assert say(port, LINE).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("server")
def test_a_body_that_does_not_end_is_given_up(port: int) -> None:
    head = LINE + b"Content-Length: 100\r\n\r\n"
    assert say(port, head, b"too little").startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("server")
def test_a_head_without_end_is_refused_before_it_fills_the_memory(port: int) -> None:
    filling = [b"X-%d: " % number + b"y" * 2000 + b"\r\n" for number in range(4)]
    found = b""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as opened:
        opened.sendall(LINE)
        for part in filling:
            opened.sendall(part)
            time.sleep(0.01)
        found = opened.recv(65536)
    assert found.startswith(b"HTTP/1.1 431 ")


@pytest.mark.usefixtures("server")
def test_connections_are_bounded_and_the_next_is_told_so(port: int, app: App) -> None:
    app.gate.clear()
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
    for opened in held:
        opened.sendall(LINE + b"Content-Length: 0\r\n\r\n")
    assert app.entered.wait(10)
    refused = say(port)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in refused
    app.gate.set()
    for opened in held:
        assert opened.recv(65536).startswith(b"HTTP/1.1 200 ")
        opened.close()


def test_a_second_server_shares_the_address_and_the_first_ends_without_a_lost_answer(
    app: App, port: int
) -> None:
    first, second = serving(app, port), serving(app, port)
    next(first)
    failed: list[object] = []
    answered = 0
    done = threading.Event()

    def send() -> None:
        nonlocal answered
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not done.is_set():
                try:
                    assert client.post("/predict", content=b"12345").text == "5"
                    answered += 1
                except Exception as error:  # noqa: BLE001 - any of them is a failed request
                    failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    next(second)
    assert next(first, None) is None
    before = answered
    deadline = time.monotonic() + 10
    while answered < before + 20 and time.monotonic() < deadline:
        done.wait(0.01)
    done.set()
    for thread in threads:
        thread.join()
    assert next(second, None) is None
    assert not failed
    assert answered >= before + 20


def test_what_is_under_way_is_answered_when_the_server_ends(app: App, port: int) -> None:
    ending = serving(app, port)
    next(ending)
    app.gate.clear()
    found: list[bytes] = []
    request = LINE + b"Content-Length: 3\r\n\r\nabc"
    thread = threading.Thread(target=lambda: found.append(say(port, request)))
    thread.start()
    assert app.entered.wait(10)
    assert next(ending, None) is None
    thread.join()
    assert found[0].startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in found[0]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_an_address_that_another_has_is_refused_in_words(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ServingError, match=str(port)):
        bind("127.0.0.1", port)
