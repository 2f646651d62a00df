"""Refuse a body that is too large before it is in memory, and say headers that every answer has."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.answers import problem_response
from serving.bodies import MOST_BYTES
from serving.problems import Refusal

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
}


class Limits:
    """An ASGI layer around the whole application."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self.app = app
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what is received, whatever the request says of its length."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                raise self._too_large()
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if _declared(scope) > self.most_bytes:
            await problem_response(self._too_large())(scope, receive, guarded)
            return
        await self.app(scope, counted, guarded)

    def _too_large(self) -> Refusal:
        most = f"{self.most_bytes / 1024 / 1024:g} MB"
        detail = f"the body is larger than {most}; send fewer rows at a time, or smaller images"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _declared(scope: Scope) -> int:
    text = Headers(scope=scope).get("content-length", "0")
    return int(text) if text.isdecimal() else 0
