"""Answer requests: find the model, pick a variant, check the rows, predict, log."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from pydantic import JsonValue

from modelyard.features import ModelSignature
from modelyard.rollout.routes import Route, RouteTable
from serving.backend import Backend, Description, Predicted
from serving.bodies import Rows
from serving.log import Entry, PredictionLog
from serving.problems import Refusal
from serving.router import pick, position
from serving.rows import Row, check_rows

INLINE_ROWS: Final = 50
ASK_SECONDS: Final = 2.0
START_HINT: Final = "train and deploy one: modelyard run SPEC, or trigger its DAG in Airflow"


class Service:
    """The endpoint without HTTP: holds the route table, swapped whole, and the prediction log."""

    def __init__(self, backend: Backend, log: PredictionLog) -> None:
        self._backend = backend
        self._log = log
        self._table = RouteTable()
        self._described: dict[str, Description] = {}

    def route_by(self, table: RouteTable) -> None:
        """Route by a new table from the next request on; those in flight keep theirs."""
        apps = {route.app for routes in table.models.values() for route in routes}
        self._described = {app: kept for app, kept in self._described.items() if app in apps}
        self._table = table

    def model(self, name: str | None) -> tuple[str, tuple[Route, ...]]:
        """Return the model that is asked for, or the only one there is.

        Raises:
            Refusal: 404 for an unknown name, 503 if nothing is deployed, 400 if it must be named.
        """
        models = self._table.models
        if not models:
            detail = f"no model is deployed yet; {START_HINT}"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        names = ", ".join(sorted(models))
        if name is None and len(models) > 1:
            detail = f"several models are served; send to /models/NAME/predict, with one of {names}"
            raise Refusal(HTTPStatus.BAD_REQUEST, detail)
        chosen = next(iter(models)) if name is None else name
        if chosen not in models:
            detail = f"there is no model {chosen[:100]!r}; there is {names}"
            raise Refusal(HTTPStatus.NOT_FOUND, detail)
        return chosen, models[chosen]

    def choose(self, name: str, routes: Sequence[Route], sticky_key: str | None) -> Route:
        """Pick the variant for one request; raise Refusal while none has traffic."""
        if not any(route.share for route in routes):
            detail = f"{name} is starting, and no version of it takes requests yet"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=5)
        at = random.random() if sticky_key is None else position(name, sticky_key)  # noqa: S311 - it divides traffic and guards nothing
        return pick(routes, at)

    async def predict(self, name: str, route: Route, body: Rows) -> dict[str, JsonValue]:
        """Answer rows by a chosen variant, and log them."""
        described = await self._describe(route.app)
        rows = await _checked(described.signature, body)
        predicted = await self._backend.predict(route.app, rows)
        ids = [uuid.uuid4().hex for _ in rows]
        self._log.add(_entries(name, described, ids, rows, predicted))
        return {
            "model": name,
            "predictions": [
                {"id": identity, "version": route.version, **output}
                for identity, output in zip(ids, predicted.outputs, strict=True)
            ],
        }

    async def _describe(self, app: str) -> Description:
        if app not in self._described:
            self._described[app] = await self._backend.describe(app)
        return self._described[app]

    def health(self) -> dict[str, JsonValue]:
        """What this process knows of itself, without asking anybody."""
        models: list[JsonValue] = [*sorted(self._table.models)]
        return {
            "status": "ok" if models else "empty",
            "models": models,
            "revision": self._table.revision,
            "prediction_log": asdict(self._log.state),
        }

    async def info(self, only: str | None = None) -> dict[str, JsonValue]:
        """Every model and variant: shares, versions, runs, metrics and signatures."""
        models = self._table.models if only is None else dict([self.model(only)])
        return {"models": [await self._model_info(name, models[name]) for name in sorted(models)]}

    async def _model_info(self, name: str, routes: Sequence[Route]) -> JsonValue:
        variants = await asyncio.gather(*(self._variant_info(route) for route in routes))
        return {"name": name, "variants": list(variants)}

    async def _variant_info(self, route: Route) -> JsonValue:
        described: Mapping[str, JsonValue]
        try:
            async with asyncio.timeout(ASK_SECONDS):
                description = await self._describe(route.app)
            described = description.model_dump(mode="json", exclude={"model", "version"})
            state = "running"
        except (TimeoutError, Refusal):
            described, state = {}, "starting"
        head = {"version": route.version, "role": route.role, "share": route.share}
        return {**head, "state": state, **described}


async def _checked(signature: ModelSignature, body: Rows) -> list[Row]:
    """Check rows; decoding images and many rows happens beside the event loop."""
    heavy = len(body.rows) > INLINE_ROWS or any(item.type == "image" for item in signature.inputs)
    if heavy:
        return await asyncio.to_thread(check_rows, signature, body.rows, textual=body.textual)
    return check_rows(signature, body.rows, textual=body.textual)


def _entries(
    name: str, described: Description, ids: Sequence[str], rows: Sequence[Row], predicted: Predicted
) -> list[Entry]:
    now = datetime.now(UTC)
    request = uuid.uuid4().hex
    features = [(feature.column, feature.type) for feature in described.signature.inputs]
    return [
        Entry(
            id=identity,
            at=now,
            request=request,
            model=name,
            version=described.version,
            run=described.run,
            features=features,
            row=row,
            output=output,
            milliseconds=predicted.milliseconds,
        )
        for identity, row, output in zip(ids, rows, predicted.outputs, strict=True)
    ]
