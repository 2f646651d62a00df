from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modelyard.settings import Settings
from modelyard.stack import environment, lifecycle
from modelyard.stack.health import HttpCheck
from modelyard.stack.keys import make_keys
from modelyard.stack.ports import HOST, Ports, claim, read_ports
from modelyard.stack.services import Service, all_services

type Answer = tuple[int, object]
type Answers = dict[tuple[str, str], Answer | Callable[[], Answer]]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a project of its own; whatever was started below it is stopped at the end."""
    for name in ("model_specs", "dags", "plugins"):
        (tmp_path / name).mkdir()
    made = Settings(project=tmp_path).model_copy(update={"home_override": tmp_path / "home"})
    yield made
    lifecycle.stop(made)


@pytest.fixture
def ports() -> Ports:
    return claim(read_ports(any_free=True))


@pytest.fixture
def services(settings: Settings, ports: Ports, tmp_path: Path) -> dict[str, Service]:
    """The real stack's services by name."""
    keys = make_keys(settings.home / "secrets")
    return {service.name: service for service in all_services(settings, ports, keys, tmp_path)}


def web(name: str, port: int, *, after: tuple[str, ...] = (), **changes: object) -> Service:
    """A real service that is up in a moment."""
    command = (sys.executable, "-m", "http.server", str(port), "--bind", HOST)
    url = f"http://{HOST}:{port}/"
    values = {"title": name, "command": command, "check": HttpCheck(url), "url": url, **changes}
    return Service(name=name, after=after, **values)  # type: ignore[arg-type]


def begin(
    settings: Settings, services: list[Service], ports: Ports, events: list[lifecycle.Event]
) -> None:
    """Start services as the stack is started."""
    lifecycle.start(
        settings, services, environment.shared(settings, ports), events.append, lambda _pid: None
    )


def wait_until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


class Server:
    """A real HTTP server that answers what a test tells it to, and remembers what it was asked."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, object]] = []
        self.shown: list[str | None] = []
        """The Authorization header of each request."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                path = self.path.partition("?")[0]
                owner.asked.append((self.command, path, body))
                owner.shown.append(self.headers.get("authorization"))
                answer = owner.answers.get((self.command, path), (404, {"detail": "not found"}))
                status, content = answer() if callable(answer) else answer
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class's names

            def log_message(self, *_arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], Server]]:
    with contextlib.ExitStack() as stack:

        def start(answers: Answers) -> Server:
            server = Server(answers)
            stack.callback(server.close)
            return server

        yield start
