"""HTTP connections that cannot hold the endpoint up: bounded in number, in head and in time."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS: Final = 2000
MOST_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0

type Reading = Literal["nothing", "head", "body"]


class Connection(HttpToolsProtocol):
    """Uvicorn's protocol with deadlines for the head and the body of each request.

    A request that arrives whole, as nearly all do, sets no timer.
    """

    most = MOST_CONNECTIONS
    most_head_bytes = MOST_HEAD_BYTES
    seconds: dict[Reading, float] = {"head": HEAD_SECONDS, "body": BODY_SECONDS}  # noqa: RUF012 - read only

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: Reading = "head"
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(b"503 Service Unavailable", b"retry-after: 1\r\n")
        else:
            self._set_deadline()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        before = self._reading
        self._head_bytes += len(data)
        super().data_received(data)
        if self._reading == "head" and self._head_bytes > self.most_head_bytes:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._reading != before:
            self._set_deadline()

    @override
    def on_message_begin(self) -> None:
        self._reading = "head"
        self._head_bytes = 0
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._reading = "body"
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._reading = "nothing"
        super().on_message_complete()

    @override
    def timeout_keep_alive_handler(self) -> None:
        # Who does not read its answer would hold the connection for ever.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def _set_deadline(self) -> None:
        self._cancel_deadline()
        if self._reading != "nothing" and not self.transport.is_closing():
            seconds = self.seconds[self._reading]
            self._deadline = self.loop.call_later(seconds, self._refuse, b"408 Request Timeout")

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes, header: bytes = b"") -> None:
        """Close, with an answer in a few bytes where none has begun."""
        if self.transport.is_closing():
            return
        if self._reading != "body" or not self.cycle.response_started:
            head = b"HTTP/1.1 " + status + b"\r\n" + header
            self.transport.write(head + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
