"""The Open Inference Protocol V2 over HTTP: KServe's and Triton's clients speak it.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from modelyard import __version__
from modelyard.rollout.routes import Route
from serving.http.answers import json_response
from serving.http.direct import add_direct
from serving.http.problems import Refusal
from serving.protocols.messages import read_request, written
from serving.protocols.schema import (
    HEADER_LENGTH_PARAMETER,
    INFER_BODY,
    REFUSED,
    VERSION,
    InferAnswer,
    Live,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
    ServerReady,
)
from serving.protocols.tensor_rows import input_tensors, output_tensors, rows_of
from serving.requests.options import PARAMETERS, options_of, sticky_key
from serving.routes.information import reasons_of
from serving.service import Service

TAG: Final = "Open Inference Protocol V2"
PLATFORM: Final = "modelyard"
EXTENSIONS: Final = ("binary_tensor_data",)


def add_inference(app: FastAPI, service: Service) -> None:
    """Add the protocol's paths."""

    async def infer(request: Request) -> Response:
        """Predict a batch: one tensor a column, an image as BYTES (base64 in JSON)."""
        name, routes = service.model(request.path_params["name"])
        asked = await read_request(request)
        rows = rows_of(asked.inputs, await service.signature(_champion(routes)))
        route, options = _versioned(name, routes, request), options_of(request)
        if route is None:
            answer: Any = await service.answer(name, rows, sticky_key(request), options)
        else:
            pinned = replace(options, pinned=True)
            answer = await service.predict(name, route, rows, pinned)
        # The version that answered may have outputs of its own.
        by = answer["predictions"][0]["version"]
        route = next((one for one in routes if one.version == by), _champion(routes))
        return written(name, asked, await service.signature(route), answer)

    async def metadata(request: Request) -> Response:
        """Describe a model's tensors; without a version those of the champion."""
        name, routes = service.model(request.path_params["name"])
        route = _versioned(name, routes, request) or _champion(routes)
        signature = await service.signature(route)
        return json_response(
            {
                "name": name,
                "versions": [str(one.version) for one in routes],
                "platform": PLATFORM,
                "inputs": input_tensors(signature),
                "outputs": output_tensors(signature),
            }
        )

    async def model_ready(request: Request) -> Response:
        """Say whether a model can answer; 400 where it cannot yet."""
        name, routes = service.model(request.path_params["name"])
        route = _versioned(name, routes, request) or _champion(routes)
        state = await service.ready(name)
        if not state["ready"]:
            raise Refusal(HTTPStatus.BAD_REQUEST, reasons_of(state))
        await service.signature(route)
        return json_response({"name": name, "ready": True})

    for version in ("", "/versions/{version}"):
        base = f"/v2/models/{{name}}{version}"
        given: list[dict[str, Any]] = [VERSION] if version else []
        add_direct(
            app,
            "POST",
            f"{base}/infer",
            infer,
            summary="Predict tensors",
            tag=TAG,
            answer=InferAnswer,
            body=INFER_BODY,
            parameters=[*given, *PARAMETERS, HEADER_LENGTH_PARAMETER],
            responses=REFUSED,
        )
        add_direct(
            app,
            "GET",
            f"{base}/ready",
            model_ready,
            summary="Can the model answer",
            tag=TAG,
            answer=ModelReady,
            parameters=given,
            responses=REFUSED,
        )
        add_direct(
            app,
            "GET",
            base,
            metadata,
            summary="A model's tensors",
            tag=TAG,
            answer=ModelMetadata,
            parameters=given,
            responses=REFUSED,
        )
    _add_server(app, service)


def _add_server(app: FastAPI, service: Service) -> None:
    async def server(_request: Request) -> Response:
        """Say what this server is."""
        return json_response(
            {"name": "modelyard", "version": __version__, "extensions": EXTENSIONS}
        )

    async def live(_request: Request) -> Response:
        """Say that the server is up."""
        return json_response({"live": True})

    async def ready(_request: Request) -> Response:
        """Say whether all models can answer; 400 with the reasons until then."""
        state = await service.ready()
        if not state["ready"]:
            raise Refusal(HTTPStatus.BAD_REQUEST, reasons_of(state))
        return json_response({"ready": True})

    for path, handler, summary, answer in (
        ("/v2", server, "What the server is", ServerMetadata),
        ("/v2/health/live", live, "Is the server up", Live),
        ("/v2/health/ready", ready, "Can all models answer", ServerReady),
    ):
        add_direct(
            app, "GET", path, handler, summary=summary, tag=TAG, answer=answer, responses=REFUSED
        )


def _versioned(name: str, routes: Sequence[Route], request: Request) -> Route | None:
    """Return the version that the path names, also one without traffic."""
    version = request.path_params.get("version")
    if version is None:
        return None
    for route in routes:
        if str(route.version) == version:
            return route
    there = ", ".join(str(route.version) for route in routes)
    detail = f"{name} has no version {version[:40]!r} here; there is {there}"
    raise Refusal(HTTPStatus.NOT_FOUND, detail)


def _champion(routes: Sequence[Route]) -> Route:
    return next((route for route in routes if route.role == "champion"), routes[0])
