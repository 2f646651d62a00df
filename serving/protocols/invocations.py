"""The formats of MLflow's scoring server, for what already speaks them.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from modelyard import __version__
from modelyard.features import ModelSignature
from modelyard.rollout.routes import Route
from serving.http.answers import json_response
from serving.http.direct import add_direct
from serving.http.problems import Refusal
from serving.protocols.invocations_rows import rows_of_csv, rows_of_document
from serving.protocols.invocations_schema import INVOCATIONS_BODY, InvocationsAnswer
from serving.requests.bodies import Rows
from serving.requests.options import PARAMETERS, chosen, options_of, sticky_key
from serving.requests.reading import media_type, read_body
from serving.requests.strict_json import parse_json
from serving.routes.information import reasons_of
from serving.service import Service

TAG: Final = "MLflow's scoring protocol"
CSV: Final = "text/csv"


def add_invocations(app: FastAPI, service: Service) -> None:
    """Add the protocol's paths."""

    async def invocations(request: Request) -> Response:
        """Predict rows as MLflow's `/invocations` does: one flat record a row.

        `params` may hold the options `probabilities` and `mask`.
        """
        name, routes = service.model(request.path_params.get("name"))
        kind = media_type(request)
        body = await read_body(request)
        options = options_of(request)
        if kind == CSV:
            rows = Rows(rows_of_csv(body), textual=True)
        elif kind == "application/json" or kind.endswith("+json"):
            rows, params = rows_of_document(parse_json(body), await _signature(service, routes))
            options = chosen(params, request) if params else options
        else:
            detail = f"content type {kind[:100]} is not taken; send application/json or {CSV}"
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
        answer = await service.answer(name, rows, sticky_key(request), options)
        return json_response({"predictions": [_record(one) for one in _listed(answer)]})

    async def ping(_request: Request) -> Response:
        """Answer 200 once every model can answer, as MLflow's server does; 503 until then."""
        state = await service.ready()
        if not state["ready"]:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Refusal(status, reasons_of(state), retry_after=1)
        return PlainTextResponse("\n")

    async def version(_request: Request) -> Response:
        """Say Modelyard's version."""
        return PlainTextResponse(__version__)

    for path in ("/invocations", "/models/{name}/invocations"):
        add_direct(
            app,
            "POST",
            path,
            invocations,
            summary="Predict with MLflow's formats",
            tag=TAG,
            answer=InvocationsAnswer,
            meaning="One record a row.",
            body=INVOCATIONS_BODY,
            parameters=PARAMETERS,
        )
    text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    add_direct(app, "GET", "/ping", ping, summary="Is it ready", tag=TAG, responses=text)
    add_direct(app, "GET", "/version", version, summary="Its version", tag=TAG, responses=text)


async def _signature(service: Service, routes: Sequence[Route]) -> ModelSignature:
    ordered = sorted(routes, key=lambda route: route.role != "champion")
    return await service.signature(ordered[0])


def _listed(answer: Mapping[str, JsonValue]) -> list[dict[str, JsonValue]]:
    found = answer["predictions"]
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _record(prediction: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Name parts as the version's own MLflow model does: OUTPUT and OUTPUT_PART."""
    record: dict[str, JsonValue] = {}
    for name, said in prediction.items():
        if isinstance(said, dict):
            for part, value in said.items():
                record[name if part == "prediction" else f"{name}_{part}"] = value
        else:
            record[name] = said
    return record
