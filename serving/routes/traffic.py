"""What the page of live traffic shows, as JSON: who gets which share, how each does, what was decided.

Shares, circuits and the last minute are this process's own; counts, rollouts and the ledger come
from the database, so they are those of all processes, and stand still while it does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from modelyard.rollout.decide import RolloutState, look
from modelyard.rollout.evidence import collect
from modelyard.rollout.sequential import Count, rate_bounds
from modelyard.spec.serve import RolloutSpec
from modelyard.store.database import Store
from modelyard.store.records import LedgerEntry, Measure, RolloutRecord, Tally, Variant
from serving.access.scopes import wants_page
from serving.http.direct import add_direct
from serving.http.problems import Refusal
from serving.http.schema import LogFigures
from serving.pages import traffic_page
from serving.service import Service

KEPT_SECONDS: Final = 1.0
LEDGER_ROWS: Final = 50
ALPHA: Final = 0.05
SHADOW, APPROVAL, ALL_TRAFFIC = "shadow", "approval", "all traffic"


class Bounded(BaseModel):
    """A count of what could have happened and did, with bounds that hold however often one looks."""

    trials: int = Field(description="How often it could have happened.")
    hits: int = Field(description="How often it did.")
    rate: float | None = Field(description="The share of hits; null without trials.")
    low: float = Field(description="The share's lower bound: both hold with 95 % certainty.")
    high: float = Field(description="Its upper bound.")


class VariantTraffic(BaseModel):
    """How one version does."""

    version: int = Field(description="The model version.")
    role: str = Field(description="champion, challenger or warm.")
    share: float = Field(description="Its share of the requests.")
    shadow: float = Field(description="The share of requests that are copied to it.")
    experiment: str | None = Field(description="The experiment that its answers belong to.")
    breaker: str = Field(description="Its circuit: closed, open or half-open; open gets no calls.")
    per_second: float = Field(description="Requests a second, in the last minute.")
    p95_ms: float | None = Field(description="95 % of the last minute's answers were faster.")
    measures: dict[Measure, Bounded] = Field(description="Counts since the model's last change.")


class RolloutTraffic(BaseModel):
    """A challenger on its way."""

    version: int = Field(description="The challenger.")
    status: str = Field(description="shadow, canary or waiting.")
    steps: list[str] = Field(description="All steps of the way.")
    current: int = Field(description="Which of them it is at, from 0.")
    missing: list[str] = Field(description="What the next step waits for.")
    reason: str = Field(description="Why it is where it is.")
    by: str = Field(description="Who or what began it.")
    started: datetime = Field(description="When it began.")
    changed: datetime = Field(description="When it last moved.")


class ModelTraffic(BaseModel):
    """One model's traffic."""

    name: str = Field(description="The model's name.")
    since: datetime | None = Field(description="When it last changed: since then is counted.")
    slow_ms: float | None = Field(description="Answers that take longer are slow.")
    variants: list[VariantTraffic] = Field(description="Its versions.")
    rollout: RolloutTraffic | None = Field(description="The rollout that is under way.")


class Traffic(BaseModel):
    """The live traffic of all models."""

    at: datetime = Field(description="When it was read.")
    database: str | None = Field(description="Why counts and ledger are old or missing.")
    models: list[ModelTraffic] = Field(description="By name.")
    ledger: list[LedgerEntry] = Field(description="The last changes, newest first.")
    prediction_log: LogFigures = Field(description="How the prediction log does.")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database says of one model."""

    variants: Sequence[Variant] = ()
    ledger: Sequence[LedgerEntry] = ()
    tallies: Sequence[Tally] = ()
    rollout: RolloutRecord | None = None


class TrafficView:
    """Reads the traffic for all who watch at once: the database is asked once a second at most."""

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: Mapping[str, Kept] = {}
        self._asked = float("-inf")
        self._fault: str | None = None

    async def read(self) -> Traffic:
        """Return the traffic now, with the counts that were last read."""
        figures: Any = self._service.figures().document()
        kept = await self._stored([model["name"] for model in figures["models"]])
        models = [_model(model, kept.get(model["name"], Kept())) for model in figures["models"]]
        ledger = [entry for one in kept.values() for entry in one.ledger]
        return Traffic(
            at=datetime.now(UTC),
            database=self._fault,
            models=models,
            ledger=sorted(ledger, key=lambda entry: entry.at, reverse=True)[:LEDGER_ROWS],
            prediction_log=LogFigures.model_validate(figures["prediction_log"]),
        )

    async def _stored(self, names: Sequence[str]) -> Mapping[str, Kept]:
        async with self._lock:
            if self._clock() - self._asked >= KEPT_SECONDS:
                try:
                    self._kept = await self._service.ask_store(partial(_read, names))
                    self._fault = None
                except Refusal as refusal:
                    self._fault = refusal.document.detail
                self._asked = self._clock()
        return self._kept


def add_traffic(app: FastAPI, service: Service) -> None:
    """Give an application GET /traffic: a page for browsers, JSON for all others."""
    view = TrafficView(service)

    async def traffic(request: Request) -> Response:
        """Say who gets which share, how each version does, and what was decided of late.

        A browser that asks for a page gets one, which reads this every two seconds.
        """
        if wants_page(",".join(request.headers.getlist("accept"))):  # as the guard reads it
            return traffic_page(request)
        document = (await view.read()).model_dump_json()
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        return Response(document, media_type="application/json", headers=headers)

    add_direct(
        app,
        "GET",
        "/traffic",
        traffic,
        summary="Live traffic",
        tag="information",
        answer=Traffic,
        meaning="The traffic now.",
    )


def _read(names: Iterable[str], store: Store) -> dict[str, Kept]:
    phases = store.phases()
    return {
        name: Kept(
            store.variants(name),
            store.ledger(name, LEDGER_ROWS),
            store.tallies(name, phases.get(name, "")),
            store.rollout(name),
        )
        for name in names
    }


def _model(model: Mapping[str, Any], kept: Kept) -> ModelTraffic:
    rollout = kept.rollout
    return ModelTraffic(
        name=model["name"],
        since=kept.ledger[0].at if kept.ledger else None,
        slow_ms=None if rollout is None else rollout.slow_ms,
        variants=[_variant(variant, kept) for variant in model["variants"]],
        rollout=None if rollout is None else _rollout(rollout, kept),
    )


def _variant(variant: Mapping[str, Any], kept: Kept) -> VariantTraffic:
    version = variant["version"]
    stored = next((one for one in kept.variants if one.version == version), None)
    return VariantTraffic(
        version=version,
        role=variant["role"],
        share=variant["share"],
        shadow=stored.shadow if stored else 0,
        experiment=stored.experiment if stored else None,
        breaker=variant["breaker"],
        per_second=variant["per_second"],
        p95_ms=variant["p95_ms"],
        measures={
            tally.measure: _bounded(tally.trials, tally.hits)
            for tally in kept.tallies
            if tally.version == version
        },
    )


@lru_cache(maxsize=1024)
def _bounded(trials: int, hits: int) -> Bounded:
    count = Count(trials, hits)
    low, high = rate_bounds(count, ALPHA / 2)
    return Bounded(trials=trials, hits=hits, rate=count.rate, low=low, high=high)


def _rollout(rollout: RolloutRecord, kept: Kept) -> RolloutTraffic:
    rules = RolloutSpec.model_validate(rollout.policy)
    steps = [SHADOW] if rules.shadow else []
    steps += [f"{share:.3%}".rstrip("0%").rstrip(".") + "\u202f%" for share in rules.canary]
    steps += [APPROVAL] if rules.approve else []
    return RolloutTraffic(
        version=rollout.version,
        status=rollout.status,
        steps=[*steps, ALL_TRAFFIC],
        current=_current(rollout, rules),
        missing=list(_missing(rollout, rules, kept)),
        reason=rollout.reason,
        by=rollout.by,
        started=rollout.started,
        changed=rollout.changed,
    )


def _current(rollout: RolloutRecord, rules: RolloutSpec) -> int:
    """Which step a rollout is at; shares that a person chose at an approval belong to that."""
    before = int(bool(rules.shadow))
    if rollout.status == "shadow":
        return 0
    if rollout.status == "canary":
        return before + min(rollout.step, len(rules.canary))
    return before + len(rules.canary)


def _missing(rollout: RolloutRecord, rules: RolloutSpec, kept: Kept) -> Sequence[str]:
    stage = rollout.status
    if stage not in {"shadow", "canary", "waiting"}:
        return ()
    champion = next((one.version for one in kept.variants if one.role == "champion"), None)
    evidence = collect(kept.tallies, champion, rollout.version)
    state = RolloutState(rollout.version, stage, rollout.step, rules, rollout.changed)
    return look(state, evidence).missing
