"""The endpoint's own HTTP server: uvicorn in a thread, on the address that the settings say.

Serve's proxy would be one more process and one more hop for each request. Several endpoints may
listen on one address of a machine, and the kernel divides connections among them: so a new one
listens before an old one ends, and a restarted one finds its port.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from modelyard.errors import ServingError
from modelyard.settings import Settings
from modelyard.tls import TlsFiles, tls_files
from serving.http.connections import Connection

BACKLOG: Final = 2048
START_SECONDS: Final = 30.0
KEEP_ALIVE_SECONDS: Final = 30
FAREWELL_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 8
log = logging.getLogger("ray.serve")


class HttpServer:
    """Runs an ASGI application, and other coroutines, on an event loop in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = uvloop.new_event_loop()
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="http", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it listens."""
        return self._serving is not None and not self._serving.done()

    def run[T](self, work: Coroutine[Any, Any, T], timeout: float = START_SECONDS) -> T:
        """Run a coroutine on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def listen(self, app: ASGIApp, host: str, port: int) -> None:
        """Take requests.

        Raises:
            ServingError: the address is taken, or the certificate cannot be used.
        """
        tls = tls_files(self._settings)
        self.run(self._listen(app, bind(host, port), tls))

    def stop_listening(self) -> None:
        """Answer what is under way and let callers go."""
        if self._serving is not None:
            self.run(self._farewell(), START_SECONDS)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)

    async def _listen(self, app: ASGIApp, opened: socket.socket, tls: TlsFiles | None) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=ANSWER_SECONDS,
            ssl_certfile=None if tls is None else tls.certificate,
            ssl_keyfile=None if tls is None else tls.key,
        )
        self._server = uvicorn.Server(config)
        # Signals are Serve's: it ends this process.
        self._serving = asyncio.create_task(self._server._serve([opened]))  # noqa: SLF001 - `serve` takes them
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if self._serving.done() or time.monotonic() > deadline:
                message = "the endpoint's HTTP server did not start"
                raise ServingError(message, hint="see make logs for its log")
            await asyncio.sleep(0.01)

    async def _farewell(self) -> None:
        """Say with each answer that the connection ends, for who reads that sends no more on it."""
        assert self._server is not None
        assert self._serving is not None
        state = self._server.server_state
        for listener in self._server.servers:
            listener.close()
        # One list is of the requests under way, the other is what uvicorn makes the next ones from.
        for headers in (state.default_headers, self._server.config.encoded_headers):
            headers.append((b"connection", b"close"))
        deadline = time.monotonic() + FAREWELL_SECONDS
        while state.connections and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn tells of no event
            await asyncio.sleep(0.02)
        self._server.should_exit = True
        await self._serving


def bind(host: str, port: int) -> socket.socket:
    """Open the endpoint's socket; several processes of one user may.

    Raises:
        ServingError: somebody else has the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        message = f"the endpoint cannot listen on {host}:{port}: {error.strerror}"
        raise ServingError(message, hint="see make status for who has the port") from error
    opened.setblocking(False)
    return opened
