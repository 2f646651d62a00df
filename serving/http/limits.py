"""Refuse heads and bodies that are too large before they are in memory, and say what every answer says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.answers import problem_response
from serving.http.problems import Refusal

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_HEADER_BYTES: Final = 32 * 1024
MOST_HEADERS: Final = 100
MOST_URL_BYTES: Final = 8 * 1024
HTML: Final = b"text/html"

ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'"
)
"""No script or style within a page: what a model or a label says can never run."""
ONE_YEAR: Final = "max-age=31536000"

type Head = tuple[tuple[bytes, bytes], ...]


def _head(headers: dict[str, str]) -> Head:
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


DATA_HEAD: Final = _head(
    {**ALWAYS, "content-security-policy": DATA_POLICY, "cache-control": "no-store"}
)
PAGE_HEAD: Final = _head(
    {**ALWAYS, "content-security-policy": PAGE_POLICY, "cache-control": "no-cache"}
)
TLS_HEAD: Final = _head({"strict-transport-security": ONE_YEAR})


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
        secure = scope.get("scheme") == "https"

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                raise self._too_large()
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_ours(message.get("headers", ()), secure=secure)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await problem_response(refusal)(scope, receive, guarded)
            return
        await self.app(scope, counted, guarded)

    def _refusal(self, scope: Scope) -> Refusal | None:
        """Say what is wrong with a request's head, if anything."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = declared = 0
        for name, value in headers:
            size += len(name) + len(value)
            if name == b"content-length" and value.isdigit():
                declared = int(value) if len(value) < 20 else self.most_bytes + 1  # noqa: PLR2004 - what fits into 64 bits
        if size > MOST_HEADER_BYTES or len(headers) > MOST_HEADERS:
            detail = f"the headers are too many or too large; {MOST_HEADERS} and {MOST_HEADER_BYTES // 1024} KB are taken"
            return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        if len(scope["path"]) + len(scope.get("query_string", b"")) > MOST_URL_BYTES:
            detail = f"the address is longer than {MOST_URL_BYTES // 1024} KB"
            return Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, detail)
        return self._too_large() if declared > self.most_bytes else None

    def _too_large(self) -> Refusal:
        most = f"{self.most_bytes / 1024 / 1024:g} MB"
        detail = f"the body is larger than {most}; send fewer rows at a time, or smaller images"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _with_ours(headers: list[tuple[bytes, bytes]], *, secure: bool) -> list[tuple[bytes, bytes]]:
    """Add what the application has not said itself."""
    said = {name.lower(): value for name, value in headers}
    ours = PAGE_HEAD if said.get(b"content-type", b"").startswith(HTML) else DATA_HEAD
    added = [header for header in ours if header[0] not in said]
    return [*headers, *added, *(TLS_HEAD if secure else ())]
