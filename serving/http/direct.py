"""Routes that FastAPI documents and does not stand in the way of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import request_response

type Handler = Callable[[Request], Awaitable[Response]]

NAME: Final[dict[str, Any]] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The model's name.",
    "schema": {"type": "string"},
}


class Direct(APIRoute):
    """Calls its handler with the request alone: no dependencies are solved, no answer is validated."""

    def __init__(self, path: str, endpoint: Handler, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = request_response(endpoint)


def add_direct(  # noqa: PLR0913 - what OpenAPI says of an operation
    app: FastAPI,
    method: str,
    path: str,
    handler: Handler,
    *,
    summary: str,
    tag: str,
    answer: type[BaseModel] | None = None,
    meaning: str = "The answer.",
    body: dict[str, Any] | None = None,
    parameters: Sequence[dict[str, Any]] = (),
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> None:
    """Add a route; its handler's docstring describes it.

    `{name}` in the path is documented as the model's name; other `parameters` are given whole.
    """
    named = [NAME] if "{name}" in path else []
    extra: dict[str, Any] = {"parameters": [*named, *parameters]} if named or parameters else {}
    if body is not None:
        extra["requestBody"] = body
    app.router.add_api_route(
        path,
        handler,
        methods=[method],
        route_class_override=Direct,
        response_model=answer,
        response_description=meaning,
        summary=summary,
        tags=[tag],
        operation_id=_operation(method, path),
        openapi_extra=extra,
        responses=responses,
    )


def _operation(method: str, path: str) -> str:
    words = path.replace("{", "").replace("}", "").replace("-", "/").split("/")
    return "_".join([method.lower(), *filter(None, words)])
