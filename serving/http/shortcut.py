"""The shortest way to the paths that predict: past the framework's layers for everything else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.direct import Direct, Handler

HOT: Final = ("/predict", "/models/{name}/predict", "/invocations", "/v2/models/{name}/infer")


@dataclass(frozen=True, slots=True)
class _Way:
    pattern: re.Pattern[str]
    handler: Handler


class Shortcut:
    """An ASGI layer inside all others: calls the handlers of some direct routes itself.

    What a handler raises is answered by the application's own exception handlers; what they do not
    know goes on to the layers outside, as it would from the route.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Direct], handlers: dict[Any, Any]) -> None:
        self.app = app
        self._ways = [_Way(route.path_regex, route.endpoint) for route in routes]
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the first route that fits, or pass on."""
        if scope["type"] == "http" and scope["method"] == "POST":
            for way in self._ways:
                if found := way.pattern.match(scope["path"]):
                    scope["path_params"] = found.groupdict()
                    response = await self._answer(way, Request(scope, receive, send))
                    await response(scope, receive, send)
                    return
        await self.app(scope, receive, send)

    async def _answer(self, way: _Way, request: Request) -> Response:
        try:
            return await way.handler(request)
        except Exception as error:
            # All but Exception and what it derives from, which are for the layers outside.
            for kind in type(error).__mro__[:-3]:
                if (handler := self._handlers.get(kind)) is not None:
                    response = handler(request, error)
                    answer: Response = await response if inspect.isawaitable(response) else response
                    return answer
            raise


def add_shortcut(app: FastAPI, paths: Sequence[str] = HOT) -> None:
    """Let requests for these paths take it; for an application that has all its routes and layers."""
    routes = [
        route
        for path in paths
        for route in app.routes
        if isinstance(route, Direct) and route.path == path and "POST" in (route.methods or ())
    ]
    layer = Middleware(Shortcut, routes=routes, handlers=app.exception_handlers)
    # The last one in this list is the innermost.
    app.user_middleware.append(layer)
