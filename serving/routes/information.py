"""How the endpoint does, and what it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from serving.http.answers import json_response
from serving.http.direct import add_direct
from serving.http.schema import Figures, Health, ModelInfo, Ready
from serving.service import Service

TAG: Final = "information"
JSON: Final = "application/json"
UNREADY: Final = 503
_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


def add_information(app: FastAPI, service: Service) -> None:
    """Add the paths that describe models and variants."""

    async def model_info(_request: Request) -> Response:
        """Describe every model and variant: shares, versions, runs, metrics, inputs and outputs."""
        return json_response(await service.info())

    async def one_model(request: Request) -> Response:
        """Describe one model and its variants."""
        return json_response(await service.info(request.path_params["name"]))

    add_direct(
        app,
        "GET",
        "/model-info",
        model_info,
        summary="All models",
        tag=TAG,
        answer=ModelInfo,
    )
    add_direct(
        app, "GET", "/models/{name}", one_model, summary="One model", tag=TAG, answer=ModelInfo
    )


def add_health(app: FastAPI, service: Service) -> None:
    """Add the paths that machines ask: probes and scrapers."""

    async def health(_request: Request) -> Response:
        """Say whether the endpoint is up, what it serves and how the prediction log does."""
        return json_response(service.health())

    async def ready(_request: Request) -> Response:
        """Say whether every model can answer; 503 with reasons until then."""
        state = await service.ready()
        return json_response(state, status=200 if state["ready"] else UNREADY)

    async def metrics(request: Request) -> Response:
        """Count and measure, as Prometheus reads it; as JSON where `Accept` asks for that."""
        figures = service.figures()
        if JSON in request.headers.get("accept", ""):
            return json_response(figures.document())
        text, media_type = await service.metrics()
        return Response(text, media_type=media_type)

    add_direct(app, "GET", "/health", health, summary="Is it up", tag=TAG, answer=Health)
    add_direct(
        app,
        "GET",
        "/ready",
        ready,
        summary="Can it answer",
        tag=TAG,
        answer=Ready,
        responses={503: {"model": Ready, "description": "Not yet; the reasons."}},
    )
    add_direct(
        app,
        "GET",
        "/metrics",
        metrics,
        summary="Figures",
        tag=TAG,
        answer=Figures,
        responses=_TEXT,
    )


def reasons_of(state: Mapping[str, JsonValue]) -> str:
    """Say in one line why the endpoint is not ready."""
    reasons = state["reasons"]
    return "; ".join(map(str, reasons)) if isinstance(reasons, list) else ""
