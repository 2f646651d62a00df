"""The HTTP interface around a service."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from modelyard import __version__
from serving.answers import json_response, problem_response
from serving.bodies import read_rows
from serving.limits import Limits
from serving.pages import docs_page, landing_page
from serving.problems import MEDIA_TYPE, FieldProblem, ProblemDocument, Refusal, invalid
from serving.schema import PREDICT_BODY, Answer, Health, ModelInfo
from serving.service import Service

DESCRIPTION: Final = "Predictions of the models that Modelyard serves. Errors are problem documents (RFC 9457) that name row, counted from 1, and field."
STICKY: Final = "Requests with the same key are answered by the same version while shares allow it."
log = logging.getLogger(__name__)

type StickyKey = Annotated[str | None, Header(alias="X-Sticky-Key", description=STICKY)]
type ModelName = Annotated[str, Path(description="The model's name.")]


class Api(FastAPI):
    """The application, whose document says of refusals what they are and not JSON besides."""

    def openapi(self) -> dict[str, Any]:
        """Write the OpenAPI document."""
        document = super().openapi()
        for methods in document["paths"].values():
            for operation in methods.values():
                for answer in operation["responses"].values():
                    content = answer.get("content", {})
                    if MEDIA_TYPE in content:
                        content.pop("application/json", None)
        return document


def create_app(service: Service) -> FastAPI:
    """Make the application; its pages need no network."""
    app = Api(
        title="Modelyard",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": _problem("A refusal."), "5XX": _problem("Not now.")},
    )
    app.add_middleware(Limits)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _fault)
    _add_predictions(app, service)
    _add_information(app, service)
    _add_pages(app, service)
    return app


def _add_predictions(app: FastAPI, service: Service) -> None:
    options: dict[str, Any] = {
        "response_model": Answer,
        "response_description": "One prediction a row, in the order of the rows.",
        "openapi_extra": {"requestBody": PREDICT_BODY},
        "tags": ["predictions"],
    }

    async def answer(request: Request, name: str | None, key: str | None) -> Response:
        chosen, routes = service.model(name)
        route = service.choose(chosen, routes, key)
        return json_response(await service.predict(chosen, route, await read_rows(request)))

    @app.post("/predict", summary="Predict with the only model", **options)
    async def predict(request: Request, sticky_key: StickyKey = None) -> Response:
        """Predict rows; where several models are served, name one: /models/NAME/predict."""
        return await answer(request, None, sticky_key)

    @app.post("/models/{name}/predict", summary="Predict with a model", **options)
    async def predict_named(
        request: Request, name: ModelName, sticky_key: StickyKey = None
    ) -> Response:
        """Predict rows; each gets an id, by which it is found in the prediction log."""
        return await answer(request, name, sticky_key)


def _add_information(app: FastAPI, service: Service) -> None:
    @app.get("/health", response_model=Health, tags=["information"], summary="Is it up")
    async def health() -> Response:
        """Say whether the endpoint is up, what it serves and how the prediction log does."""
        return json_response(service.health())

    @app.get("/model-info", response_model=ModelInfo, tags=["information"], summary="All models")
    async def model_info() -> Response:
        """Describe every model and variant: shares, versions, runs, metrics, inputs and outputs."""
        return json_response(await service.info())

    @app.get("/models/{name}", response_model=ModelInfo, tags=["information"], summary="One model")
    async def one_model(name: ModelName) -> Response:
        """Describe one model and its variants."""
        return json_response(await service.info(name))


def _add_pages(app: FastAPI, service: Service) -> None:
    @app.get("/", include_in_schema=False)
    async def landing(request: Request) -> Response:
        page = landing_page(service.health(), await service.info(), str(request.base_url))
        return HTMLResponse(page)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(docs_page(app.openapi(), str(request.base_url)))


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        "model": ProblemDocument,
        "description": description,
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem_response(error)


async def _http_error(_request: Request, error: Exception) -> Response:
    """Write what the framework refuses, such as an unknown path, as all refusals are written."""
    assert isinstance(error, HTTPException)
    details = {
        HTTPStatus.NOT_FOUND: "there is nothing here; see /docs",
        HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take this method; see /docs",
    }
    status = HTTPStatus(error.status_code)
    response = problem_response(Refusal(status, details.get(status, str(error.detail))))
    response.headers.update(error.headers or {})
    return response


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        FieldProblem(field=".".join(map(str, item["loc"])), message=str(item["msg"]))
        for item in error.errors()
    ]
    return problem_response(invalid(problems))


async def _fault(_request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    detail = "the endpoint failed at this request; its log says why"
    return problem_response(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, detail))
