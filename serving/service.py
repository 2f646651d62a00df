"""Answer requests: find the model, pick a variant, let it predict, log; and take feedback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final

from prometheus_client.registry import Collector
from pydantic import JsonValue

from modelyard.features import ModelSignature
from modelyard.rollout.routes import Route, RouteTable
from modelyard.store.database import Store
from serving.http.problems import Refusal
from serving.model.backend import Backend, VariantFault
from serving.prediction_log.log import PredictionLog
from serving.requests.bodies import Rows
from serving.requests.feedback_labels import answer_of as labels_answer
from serving.requests.feedback_labels import check_labels
from serving.requests.options import PredictOptions
from serving.requests.rows import checked_rows
from serving.traffic.alerts import alert_of, alerts_of, known_of
from serving.traffic.breaker import Breakers
from serving.traffic.calls import Answered, Calls
from serving.traffic.entries import answer_of, entries_of
from serving.traffic.figures import Figures, RequestOutcome
from serving.traffic.ids import new_ids
from serving.traffic.parts import Part, parts_of, together
from serving.traffic.router import Lanes, key_of, lanes_of, position
from serving.traffic.shadow import Shadows
from serving.traffic.stored import Stored
from serving.traffic.tallies import Tallies
from serving.traffic.variants import Known, Variants
from serving.traffic.watched import WatchedFigures

ASK_SECONDS: Final = 2.0
READY_SECONDS: Final = 1.0
DEFAULTS: Final = PredictOptions()
START_HINT: Final = "train and deploy one: modelyard run SPEC, or trigger its DAG in Airflow"


class Service:
    """The endpoint without HTTP: holds the route table, swapped whole, and the prediction log.

    Args:
        backend: Reaches the variants.
        log: Keeps predictions, shadow answers and counts.
        stored: The database, for feedback and alerts; without it they are refused.
        load: How much of what may be under way at the endpoint is, 0 to 1: copies of requests are
            dropped first, and no challenger may hold half of it.
        home: The home folder, to say how far the live profiles are.
        clock: Seconds, steady.
    """

    def __init__(  # noqa: PLR0913 - the parts that it is put together from
        self,
        backend: Backend,
        log: PredictionLog,
        stored: Stored | None = None,
        *,
        load: Callable[[], float] = lambda: 0.0,
        home: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._stored = stored
        self._clock = clock
        self._table = RouteTable()
        self._revision = self._table.revision
        self._lanes: dict[str, Lanes] = {}
        self._variants = Variants(backend)
        self._breakers = Breakers(clock=clock)
        self._figures = Figures(lambda: log.state, self._breakers, clock)
        self._watched = WatchedFigures(self.ask_store, home, clock)
        self._figures.register(self._watched)
        tallies = Tallies(log)
        self._calls = Calls(
            self._variants, self._breakers, tallies, self._figures, load=load, clock=clock
        )
        self.shadows = Shadows(
            self._variants, self._breakers, log, tallies, self._figures, load=load, clock=clock
        )

    def route_by(self, table: RouteTable) -> None:
        """Route by a new table from the next request on; those in flight keep theirs."""
        apps = {route.app for routes in table.models.values() for route in routes}
        self._variants.keep(apps)
        self._breakers.keep(apps)
        self._figures.route_by(table)
        self._lanes = {name: lanes_of(table, name) for name in table.models}
        self._table = table
        self._revision = table.revision

    def model(self, name: str | None) -> tuple[str, tuple[Route, ...]]:
        """Return the model that is asked for, or the only one there is.

        Raises:
            Refusal: 404 for an unknown name, 503 if nothing is deployed, 400 if it must be named.
        """
        models = self._table.models
        if not models:
            detail = f"no model is deployed yet; {START_HINT}"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        if name is None and len(models) > 1:
            names = ", ".join(sorted(models))
            detail = f"several models are served; send to /models/NAME/predict, with one of {names}"
            raise Refusal(HTTPStatus.BAD_REQUEST, detail)
        chosen = next(iter(models)) if name is None else name
        if chosen not in models:
            names = ", ".join(sorted(models))
            detail = f"there is no model {chosen[:100]!r}; there is {names}"
            raise Refusal(HTTPStatus.NOT_FOUND, detail)
        return chosen, models[chosen]

    def sticky_key(self, name: str, header: str | None, body: Rows) -> str | None:
        """Return what keeps a request with its variant: the header, or else the spec's field.

        Of several rows the first says whose the request is; `answer` asks each row.
        """
        if header:
            return header
        lanes = self._lanes.get(name)
        field = None if lanes is None else lanes.traffic.sticky_field
        return None if field is None or not body.rows else key_of(body.rows[0], field)

    async def signature(self, route: Route) -> ModelSignature:
        """Say what a variant takes and gives; raise Refusal, 503, while it does not answer."""
        try:
            return (await self._variants.known(route.app, ASK_SECONDS)).described.signature
        except VariantFault as fault:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Refusal(status, fault.detail, retry_after=5) from fault

    def choose(self, name: str, routes: Sequence[Route], sticky_key: str | None) -> Route:
        """Pick the variant for one request; raise Refusal while none has traffic."""
        lanes = self._lanes.get(name)
        if lanes is None or lanes.routes is not routes:
            # The table changed since the caller asked for the model.
            lanes = lanes_of(RouteTable(models={name: tuple(routes)}), name)
        if lanes.split is None:
            detail = f"{name} is starting, and no version of it takes requests yet"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=5)
        at = random.random() if sticky_key is None else position(name, sticky_key)  # noqa: S311 - it divides traffic and guards nothing
        return lanes.split.at(at)

    async def answer(
        self, name: str | None, body: Rows, key: str | None, options: PredictOptions = DEFAULTS
    ) -> dict[str, JsonValue]:
        """Answer rows: find the model, pick a variant by key or chance, predict.

        Where an input of the row is the key, and rows of one request have keys of several
        variants, each is asked for its own rows.

        Raises:
            Refusal: as `model`, `choose` and `predict` do.
        """
        chosen, routes = self.model(name)
        field = None if key else self._lanes[chosen].traffic.sticky_field
        if field is None or len(body.rows) == 1:
            route = self.choose(chosen, routes, self.sticky_key(chosen, key, body))
            return await self.predict(chosen, route, body, options)
        parts = parts_of(body, field, lambda key: self.choose(chosen, routes, key))
        if len(parts) > 1:
            return await self._divided(chosen, parts, body, options)
        return await self.predict(chosen, parts[0].route, body, options)

    async def _divided(
        self, name: str, parts: Sequence[Part], body: Rows, options: PredictOptions
    ) -> dict[str, JsonValue]:
        """Ask several variants at once; all rows are checked first, for a refusal counts them."""
        known = await self._described([part.route for part in parts])
        await checked_rows(known[0].described.signature, body.rows, textual=body.textual)
        of_one = replace(options, request=options.request or new_ids(1)[0])
        asked = [self.predict(name, part.route, part.of(body), of_one) for part in parts]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return together(name, parts, [one for one in answers if isinstance(one, dict)])

    async def predict(
        self, name: str, route: Route, body: Rows, options: PredictOptions = DEFAULTS
    ) -> dict[str, JsonValue]:
        """Answer rows by a chosen variant, or by the champion where that fails; log them.

        Raises:
            Refusal: 422 naming each row and field, or 500, 503, 504 if there is no answer.
        """
        lanes = self._lanes.get(name)
        if lanes is None:
            # The model was taken away since; the request keeps the variant that it was given.
            lanes = lanes_of(RouteTable(models={name: (route,)}), name)
        answered = await self._counted(lanes, route, body, pinned=options.pinned)
        ids = new_ids(len(body.rows))
        self._log.add(entries_of(lanes, route, answered, ids, options))
        if lanes.shadows and not options.pinned:
            self.shadows.offer(lanes, answered, ids, body)
        return await answer_of(name, route, answered, ids, options)

    async def _counted(self, lanes: Lanes, route: Route, body: Rows, *, pinned: bool) -> Answered:
        figures, begun = self._figures, self._clock()
        figures.in_flight += 1
        try:
            if pinned:
                answered = await self._calls.pinned(route, body)
            else:
                answered = await self._calls.answer(lanes, route, body)
        except Refusal as refusal:
            now = self._clock()
            blamed = route if pinned or lanes.champion is None else lanes.champion
            is_fault = refusal.document.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            of = figures.of(lanes.model, blamed.version)
            of.request("failed" if is_fault else "refused", now, now - begun, 0)
            raise
        finally:
            figures.in_flight -= 1
        now = self._clock()
        outcome: RequestOutcome = "answered" if answered.fallback_from is None else "fallback"
        of = figures.of(lanes.model, answered.route.version)
        of.request(outcome, now, now - begun, len(body.rows))
        return answered

    async def feedback(
        self, name: str | None, labels: Sequence[object], by: str | None = None
    ) -> dict[str, JsonValue]:
        """Keep what turned out to be true of predictions; a second label replaces the first.

        Args:
            name: The model; None is the only one.
            labels: One object each: `id`, `value`, and `output` where the model has several.
            by: The name of the API key that says so.

        Raises:
            Refusal: 413, 422 naming row and field, 404 where no prediction is known, 503 while the
                database does not answer or the predictions are not written yet.
        """
        chosen, routes = self.model(name)
        known = await self._described(routes)
        checked = check_labels([one.described.signature for one in known], labels, by)
        if not await self._log.settled({label.prediction for label in checked}):
            detail = (
                "the predictions are not written yet, for the database is slow or away; try again"
            )
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=5)
        saved = await self.ask_store(lambda store: store.save_labels(chosen, checked))
        return labels_answer(chosen, saved)

    async def _described(self, routes: Sequence[Route]) -> list[Known]:
        """Return what the variants that answer say of themselves, the champion first."""
        ordered = sorted(routes, key=lambda route: route.role != "champion")
        asked = [self._variants.known(route.app, ASK_SECONDS) for route in ordered]
        found = await asyncio.gather(*asked, return_exceptions=True)
        known = [one for one in found if isinstance(one, Known)]
        if not known:
            detail = "no version of the model answers now; try again"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=5)
        return known

    async def ask_store[T](self, query: Callable[[Store], T]) -> T:
        """Ask Modelyard's database, beside the event loop.

        Raises:
            Refusal: 503 while it does not answer.
        """
        if self._stored is None:
            detail = "this endpoint has no database"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        return await self._stored.ask(query)

    async def alerts(self, name: str | None = None, *, every: bool = False) -> dict[str, JsonValue]:
        """List what needs a person, of one model or of all that are served.

        Alerts, rollouts that wait or went back, and circuit breakers that are open; `every`: alerts
        that ended too.
        """
        names = sorted(self._table.models) if name is None else [self.model(name)[0]]
        known = await self.ask_store(lambda store: known_of(store, names, every=every))
        breakers = (one for one in self._figures.breakers() if one[0] in names)
        return {"alerts": [*alerts_of(known, breakers)]}

    async def acknowledge(
        self, identity: str, by: str, comment: str | None = None
    ) -> dict[str, JsonValue]:
        """Write that a person took note of an alert, and return it.

        Raises:
            Refusal: 404 if there is no such alert.
        """
        noted = await self.ask_store(lambda store: store.acknowledge(identity, by, comment))
        if noted is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no alert {identity[:64]}; see /alerts")
        return alert_of(noted)

    async def ready(self, name: str | None = None) -> dict[str, JsonValue]:
        """Say whether every champion, or one model's, answers now, and else why not."""
        names = sorted(self._table.models) if name is None else [self.model(name)[0]]
        states = await asyncio.gather(*(self._unready(self._lanes[name]) for name in names))
        reasons: list[JsonValue] = [state for state in states if state is not None]
        if not states:
            reasons.append(f"no model is deployed yet; {START_HINT}")
        models: dict[str, JsonValue] = {
            name: state or "ready" for name, state in zip(names, states, strict=True)
        }
        return {
            "ready": not reasons,
            "reasons": reasons,
            "models": models,
            "revision": self._revision,
        }

    async def _unready(self, lanes: Lanes) -> str | None:
        """Say why a model cannot answer now, or None."""
        if lanes.champion is None or lanes.split is None:
            return f"{lanes.model} is starting: it has no champion that takes requests"
        try:
            await self._variants.known(lanes.champion.app, READY_SECONDS, fresh=True)
        except (VariantFault, Refusal) as error:
            return f"{lanes.model}: {error}"
        return None

    def figures(self) -> Figures:
        """What the endpoint counts of itself: `text()` for Prometheus, `document()` as JSON."""
        return self._figures

    async def metrics(self) -> tuple[bytes, str]:
        """Write all figures for Prometheus, with what watching found of late; a second at most."""
        if self._stored is not None:
            await self._watched.refresh(self._table)
        # Many models with many columns take some tens of milliseconds to write.
        return await asyncio.to_thread(self._figures.text)

    def count_also(self, collector: Collector) -> None:
        """Let Prometheus also read what another part of the endpoint counts."""
        self._figures.register(collector)

    def health(self) -> dict[str, JsonValue]:
        """What this process knows of itself, without asking anybody."""
        models: list[JsonValue] = [*sorted(self._table.models)]
        return {
            "status": "ok" if models else "empty",
            "models": models,
            "revision": self._revision,
            "prediction_log": asdict(self._log.state),
            "shadows": self._figures.shadows(self.shadows.in_flight),
            "breakers": {
                f"{model}-v{version}": position
                for model, version, position in self._figures.breakers()
            },
        }

    async def info(self, only: str | None = None) -> dict[str, JsonValue]:
        """Every model and variant: shares, versions, runs, metrics and signatures."""
        models = self._table.models if only is None else dict([self.model(only)])
        return {"models": [await self._model_info(name, models[name]) for name in sorted(models)]}

    async def _model_info(self, name: str, routes: Sequence[Route]) -> JsonValue:
        variants = await asyncio.gather(*(self._variant_info(route) for route in routes))
        traffic = self._table.traffic_of(name)
        return {
            "name": name,
            "phase": traffic.phase,
            "sticky_field": traffic.sticky_field,
            "variants": list(variants),
        }

    async def _variant_info(self, route: Route) -> JsonValue:
        described: dict[str, JsonValue]
        try:
            known = await self._variants.known(route.app, ASK_SECONDS)
            described = known.described.model_dump(
                mode="json", exclude={"model", "version", "files"}
            )
            state = "running"
        except (VariantFault, Refusal):
            described, state = {}, "starting"
        return {
            **route.model_dump(mode="json", exclude={"app"}),
            "breaker": self._breakers.position(route.app),
            "state": state,
            **described,
        }

    async def close(self) -> None:
        """Give copies up and close the database; the prediction log is its maker's to close."""
        await self.shadows.cancel()
        if self._stored is not None:
            self._stored.close()
