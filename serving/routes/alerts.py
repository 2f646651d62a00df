"""What needs a person: list it, and take note of it."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from serving.http.answers import json_response
from serving.http.direct import add_direct
from serving.http.problems import refuse_field
from serving.http.schema import Alert, Alerts
from serving.requests.notes import LONGEST_COMMENT, read_note
from serving.requests.options import boolean, client_of
from serving.service import Service

TAG: Final = "alerts"
NOBODY: Final = "endpoint"
"""Who takes note where no API key says it."""
_MODEL: Final[dict[str, Any]] = {
    "name": "model",
    "in": "query",
    "description": "Only this model's.",
    "schema": {"type": "string"},
}
_ALL: Final[dict[str, Any]] = {
    "name": "all",
    "in": "query",
    "description": "Whether alerts that ended are listed too, after the others.",
    "schema": {"type": "boolean", "default": False},
}
_ID: Final[dict[str, Any]] = {
    "name": "identity",
    "in": "path",
    "required": True,
    "description": "The alert's id.",
    "schema": {"type": "string"},
}
_NOTE: Final[dict[str, Any]] = {
    "required": False,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"comment": {"type": "string", "maxLength": LONGEST_COMMENT}},
            }
        }
    },
}


def add_alerts(app: FastAPI, service: Service) -> None:
    """Add the paths of alerts."""

    async def alerts(request: Request) -> Response:
        """List what needs a person: alerts, rollouts that wait or went back, open breakers."""
        return json_response(await service.alerts(_model(request), every=_every(request)))

    async def acknowledge(request: Request) -> Response:
        """Take note of an alert: it is not delivered again, unless it gets worse.

        A body is not needed; it may hold a comment.
        """
        comment = await read_note(request)
        identity = request.path_params["identity"]
        by = client_of(request) or NOBODY
        return json_response(await service.acknowledge(identity, by, comment))

    for path, summary, parameters in (
        ("/alerts", "What needs a person", [_MODEL, _ALL]),
        ("/models/{name}/alerts", "What of a model needs a person", [_ALL]),
    ):
        add_direct(
            app,
            "GET",
            path,
            alerts,
            summary=summary,
            tag=TAG,
            answer=Alerts,
            parameters=parameters,
        )
    add_direct(
        app,
        "POST",
        "/alerts/{identity}/acknowledge",
        acknowledge,
        summary="Take note of an alert",
        tag=TAG,
        answer=Alert,
        meaning="The alert.",
        body=_NOTE,
        parameters=[_ID],
    )


def _model(request: Request) -> str | None:
    named = request.path_params.get("name")
    known = {"all"} if named is not None else {"all", "model"}
    for name in request.query_params:
        if name not in known:
            refuse_field(name[:100], f"is not an option; there is {' and '.join(sorted(known))}")
    return named or request.query_params.get("model")


def _every(request: Request) -> bool:
    return boolean("all", request.query_params.get("all", False))
