"""The HTTP interface around a service, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from modelyard import __version__
from modelyard.settings import Settings
from serving.access.keyring import Keyring
from serving.access.keys import Guard
from serving.http.limits import Limits
from serving.http.problems import MEDIA_TYPE, ProblemDocument
from serving.http.request_ids import RequestIds
from serving.pages import add_pages
from serving.protocols.inference import add_inference
from serving.protocols.invocations import add_invocations
from serving.routes.alerts import add_alerts
from serving.routes.errors import add_errors
from serving.routes.explanations import add_explanations
from serving.routes.information import add_health, add_information
from serving.routes.predictions import add_feedback, add_predictions
from serving.routes.traffic import add_traffic
from serving.service import Service
from serving.traffic.origins import Origins

DESCRIPTION: Final = "Predictions of the models that Modelyard serves. Errors are problem documents (RFC 9457) that name row, counted from 1, and field."
CORS_METHODS: Final = ("GET", "POST")
CORS_HEADERS: Final = ("Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "X-Sticky-Key")
DAY: Final = 86_400
KEYS: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
}


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
        # Whether a key is needed is the endpoint's setting, so each may also be left out.
        document["components"]["securitySchemes"] = KEYS
        document["security"] = [{}, *({name: []} for name in KEYS)]
        return document


def create_app(
    service: Service,
    *,
    keyring: Keyring | None = None,
    cors_origins: Sequence[str] = (),
    origins: Origins | None = None,
    settings: Settings | None = None,
) -> FastAPI:
    """Make the application; its pages need no network.

    Args:
        service: What answers.
        keyring: Who may ask; everybody where it is None.
        cors_origins: Web pages of these origins may call it; none by default.
        origins: Where versions come from; MLflow says so by default.
        settings: Where home folder, MLflow and Airflow are; the process's own by default.
    """
    app = Api(
        title="Modelyard",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": _problem("A refusal."), "5XX": _problem("Not now.")},
    )
    add_errors(app)
    # The first that fits a path answers it, so what is asked most comes first.
    add_predictions(app, service)
    add_inference(app, service)
    add_invocations(app, service)
    add_feedback(app, service)
    add_health(app, service)
    add_information(app, service)
    add_alerts(app, service)
    add_traffic(app, service)
    add_explanations(app, service, origins, settings)
    add_pages(app)
    # The last one added is the outermost.
    if keyring is not None:
        app.add_middleware(Guard, keyring=keyring, origins=cors_origins)
    app.add_middleware(Limits)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors_origins),
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=["X-Request-Id", "Retry-After", "WWW-Authenticate"],
            max_age=DAY,
        )
    app.add_middleware(RequestIds)
    return app


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        "model": ProblemDocument,
        "description": description,
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
