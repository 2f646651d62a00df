"""Where one answer came from, as JSON and as a page."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from modelyard.api_keys import ADMIN, METRICS, allows
from modelyard.errors import TrackingError
from modelyard.explain import Explanation, UnknownPredictionError, explained
from modelyard.settings import Settings, get_settings
from modelyard.store.database import Store
from modelyard.store.records import ApiKey, Label
from modelyard.tracking.lineage import Origin
from serving.access.scopes import wants_page
from serving.http.direct import add_direct
from serving.http.problems import Refusal
from serving.pages import explanation_page
from serving.service import Service
from serving.traffic.origins import Origins

TAG: Final = "information"
HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept"}
ID: Final[dict[str, Any]] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id that the answer gave.",
    "schema": {"type": "string"},
}


class Explainer:
    """Asks the database, and MLflow through `Origins`."""

    def __init__(self, service: Service, origins: Origins, settings: Settings | None) -> None:
        self._service = service
        self._origins = origins
        self._settings = settings

    async def explain(self, identity: str, model: str | None) -> Explanation:
        """Explain a prediction, of a model if one is named.

        Raises:
            Refusal: 404 if there is none, 503 while the database does not answer.
        """
        record = await self._service.ask_store(lambda store: store.prediction(identity))
        if record is None or model not in {None, record.model}:
            raise _unknown(identity)
        settings = self._settings or get_settings()
        origin: Origin | TrackingError | None
        try:
            origin = await self._origins.find(record.model, record.version)
        except TrackingError as error:
            origin = error
        query = partial(_explained, settings=settings, identity=identity, origin=origin)
        try:
            return await self._service.ask_store(query)
        except UnknownPredictionError as error:
            raise _unknown(identity) from error


def add_explanations(
    app: FastAPI,
    service: Service,
    origins: Origins | None = None,
    settings: Settings | None = None,
) -> None:
    """Give an application GET /predictions/ID: a page for browsers, JSON for all others."""
    explainer = Explainer(service, origins or Origins(), settings)

    async def explanation(request: Request) -> Response:
        """Say where an answer came from: version, run, spec, data, code, and alerts at that time.

        Inputs, and the names of other keys, are shown to the scope admin only; alerts, ledger and
        unseen answers to the scope metrics. A browser that asks for a page gets one.
        """
        if wants_page(",".join(request.headers.getlist("accept"))):  # as the guard reads it
            return explanation_page(request)
        path = request.path_params
        found = await explainer.explain(path["id"], path.get("name"))
        shown = seen_by(found, request.scope.get("state", {}).get("key"))
        return Response(shown.model_dump_json(), media_type="application/json", headers=HEADERS)

    for path, summary in (
        ("/predictions/{id}", "Where an answer came from"),
        ("/models/{name}/predictions/{id}", "Where an answer of a model came from"),
    ):
        add_direct(
            app,
            "GET",
            path,
            explanation,
            summary=summary,
            tag=TAG,
            answer=Explanation,
            meaning="The prediction's chain.",
            parameters=[ID],
        )


def seen_by(found: Explanation, key: ApiKey | None) -> Explanation:
    """Leave out what is not the key's business; without keys everybody here sees all.

    A hash goes with the inputs, for few possible inputs can be guessed from it.
    """
    hidden: dict[str, Any] = {}
    missing = list(found.missing)
    if key is not None and not allows(key, ADMIN):
        hidden |= {"inputs": None, "input_hash": None, "labels": _without_names(found, key.name)}
        hidden["client"] = found.client if found.client == key.name else None
        missing.append("inputs: they are shown to keys with the scope admin")
    if key is not None and not allows(key, METRICS):
        hidden |= {"shadows": (), "alerts": (), "phase": None, "retraining": None, "links": {}}
        missing.append(
            "alerts, ledger, unseen answers, links: shown to keys with the scope metrics"
        )
    return found.model_copy(update={**hidden, "missing": tuple(missing)}) if hidden else found


def _without_names(found: Explanation, own: str) -> tuple[Label, ...]:
    return tuple(
        one if one.by in {None, own} else one.model_copy(update={"by": None})
        for one in found.labels
    )


def _explained(
    store: Store, *, settings: Settings, identity: str, origin: Origin | TrackingError | None
) -> Explanation:
    def known(_model: str, _version: int) -> Origin | None:
        if isinstance(origin, TrackingError):
            raise origin
        return origin

    return explained(settings, store, identity, known)


def _unknown(identity: str) -> Refusal:
    detail = f"there is no prediction {identity[:100]!r}; an answer's id names one, and it is logged within a second"
    return Refusal(HTTPStatus.NOT_FOUND, detail)
