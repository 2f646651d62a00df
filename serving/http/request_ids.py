"""The outermost layer: each request has an id, and an unforeseen fault becomes an answer."""

from __future__ import annotations

import logging
import os
import re
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.answers import problem_response
from serving.http.problems import Refusal

HEADER: Final = b"x-request-id"
# What a caller may choose: it comes to stand in logs and in the database.
_SAFE: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
log = logging.getLogger(__name__)


class RequestIds:
    """An ASGI layer: names each request in ``scope["state"]["request"]`` and in its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens inside."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = _identity(scope)
        scope.setdefault("state", {})["request"] = identity
        begun = False

        async def named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                head = [*message.get("headers", ()), (HEADER, identity.encode())]
                message = {**message, "headers": head}
            await send(message)

        try:
            await self.app(scope, receive, named)
        except Exception:
            log.exception("request %s failed", identity)
            if begun:
                raise
            await problem_response(_fault(identity))(scope, receive, named)


def _identity(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER and _SAFE.fullmatch(value):
            return bytes(value).decode("ascii")
    return os.urandom(16).hex()


def _fault(identity: str) -> Refusal:
    detail = f"the endpoint failed at this request; its log says why, under {identity}"
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
