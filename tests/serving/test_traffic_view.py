"""GET /traffic as JSON: from this process, from the database, and while that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from modelyard.rollout.routes import ModelTraffic, route_table
from modelyard.spec.serve import RolloutSpec
from modelyard.store.database import Store, open_store
from modelyard.store.records import LedgerEntry, RolloutRecord, Tally, Variant, now
from serving.app import create_app
from serving.http.problems import Refusal
from serving.prediction_log.log import PredictionLog
from serving.routes.traffic import TrafficView, _bounded, _current
from serving.service import Service
from serving.traffic.stored import Stored
from tests.serving.fakes import FLOWERS, Endpoint, FakeBackend, MemorySink

CHAMPION = Variant(model="flowers", version=3, weight=3, role="champion")
CHALLENGER = Variant(
    model="flowers", version=4, weight=1, role="challenger", shadow=0.5, experiment="petals"
)
POLICY = RolloutSpec(shadow=100, canary=(0.05, 0.125), approve=True)


def entry(action: str, **more: object) -> LedgerEntry:
    known = {"model": "flowers", "before": {}, "after": {"3": 1}, "reason": "why", "by": "me"}
    return LedgerEntry.model_validate({"action": action, **known, **more})


def rollout(**more: object) -> RolloutRecord:
    known = {"model": "flowers", "version": 4, "status": "canary", "phase": "p", "by": "steward"}
    policy = POLICY.model_dump(mode="json")
    return RolloutRecord.model_validate({"policy": policy, **known, **more})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'yard.db'}") as opened:
        yield opened


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Iterator[Service]:
    log = PredictionLog(MemorySink())
    stored = Stored(f"sqlite:///{tmp_path / 'yard.db'}")
    made = Service(FakeBackend({"flowers": FLOWERS}), log, stored)
    moved = entry("canary", id="phase")
    store.move("flowers", [CHAMPION, CHALLENGER], moved, rollout(step=1, slow_ms=40))
    made.route_by(route_table([CHAMPION, CHALLENGER], {"flowers": ModelTraffic(phase="phase")}))
    yield made
    log.close()
    stored.close()


def read(service: Service) -> dict[str, object]:
    with TestClient(create_app(service)) as client:
        answer = client.get("/traffic", headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept"
    document: dict[str, object] = answer.json()
    return document


def test_variants_have_shares_circuits_and_counts_of_the_phase(
    service: Service, store: Store
) -> None:
    counted = Tally(model="flowers", version=4, phase="phase", measure="errors", trials=40, hits=2)
    before = counted.model_copy(update={"phase": "earlier", "hits": 40})
    store.add_tallies([counted, before])
    [model] = read(service)["models"]
    champion, challenger = model["variants"]
    assert (champion["share"], challenger["share"]) == (0.75, 0.25)
    assert (challenger["shadow"], challenger["experiment"]) == (0.5, "petals")
    assert challenger["breaker"] == "closed"
    errors = challenger["measures"]["errors"]
    assert (errors["trials"], errors["hits"], errors["rate"]) == (40, 2, 0.05)
    assert 0 < errors["low"] < 0.05 < errors["high"] < 1
    assert champion["measures"] == {}


def test_the_rollout_has_its_steps_and_what_is_missing(service: Service) -> None:
    [model] = read(service)["models"]
    found = model["rollout"]
    assert found["steps"] == ["shadow", "5\u202f%", "12.5\u202f%", "approval", "all traffic"]
    assert found["current"] == 2
    assert found["missing"][0] == "requests: 0 of 50"
    assert model["slow_ms"] == 40


def test_the_ledger_is_of_all_models_newest_first(service: Service, store: Store) -> None:
    other = Variant(model="trees", version=1, weight=1, role="champion")
    store.move("trees", [other], entry("promote", model="trees", at=now() + timedelta(seconds=5)))
    service.route_by(route_table([CHAMPION, CHALLENGER, other]))
    document = read(service)
    assert [(row["model"], row["action"]) for row in document["ledger"]] == [
        ("trees", "promote"),
        ("flowers", "canary"),
    ]


def test_the_database_is_asked_once_a_second_whoever_watches(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = service.ask_store

    async def ask_store(query: object) -> object:
        asked.append(query)
        return await real(query)

    monkeypatch.setattr(service, "ask_store", ask_store)
    clock = Clock()
    view = TrafficView(service, clock)

    async def watch() -> None:
        await asyncio.gather(*(view.read() for _ in range(20)))
        clock.now += 0.9
        await view.read()
        assert len(asked) == 1
        clock.now += 0.2
        await view.read()

    asyncio.run(watch())
    assert len(asked) == 2


def test_while_the_database_is_away_the_last_counts_stay_and_it_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    view = TrafficView(service, clock)

    async def away(_query: object) -> None:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database does not answer; predictions go on without it",
        )

    async def watch() -> None:
        before = await view.read()
        monkeypatch.setattr(service, "ask_store", away)
        clock.now += 2
        after = await view.read()
        assert after.database == "the database does not answer; predictions go on without it"
        assert after.models == before.models
        assert after.ledger == before.ledger
        monkeypatch.undo()
        clock.now += 2
        assert (await view.read()).database is None

    asyncio.run(watch())


def test_an_endpoint_without_database_still_says_its_shares(endpoint: Endpoint) -> None:
    document = endpoint.client.get("/traffic", headers={"accept": "*/*"}).json()
    assert document["models"][0]["variants"][0]["share"] == 1
    assert document["database"] == "this endpoint has no database"
    assert document["ledger"] == []
    assert document["prediction_log"]["failing"] is None


def test_the_address_answers_a_page_to_browsers_and_json_to_programs(endpoint: Endpoint) -> None:
    page = endpoint.client.get("/traffic", headers={"accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == "Accept"
    assert endpoint.client.get("/traffic").headers["content-type"] == "application/json"


@given(trials=st.integers(0, 10**7), part=st.floats(0, 1))
def test_bounds_hold_the_rate_between_them(trials: int, part: float) -> None:
    hits = round(part * trials)
    found = _bounded(trials, hits)
    assert 0 <= found.low <= found.high <= 1
    if found.rate is None:
        assert (found.low, found.high) == (0, 1)
    else:
        assert found.low <= found.rate <= found.high


@pytest.mark.parametrize(
    ("status", "step", "place"),
    [("shadow", 0, 0), ("canary", 0, 1), ("canary", 1, 2), ("waiting", 1, 3), ("canary", 2, 3)],
)
def test_each_state_of_a_rollout_has_its_step(status: str, step: int, place: int) -> None:
    assert _current(rollout(status=status, step=step), POLICY) == place


def test_a_rollout_without_a_shadow_begins_with_its_first_share() -> None:
    rules = RolloutSpec(canary=(0.5,))
    assert _current(rollout(status="canary", step=0), rules) == 0
