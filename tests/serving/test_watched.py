"""What watching found, in /metrics: read seldom, never waited for long, and told as far as known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from modelyard.rollout.routes import RouteTable, route_table
from modelyard.store.database import Store, open_store
from modelyard.store.figures import DriftFigure, PerformanceFigure
from modelyard.store.records import Variant
from serving.http.problems import Refusal
from serving.traffic import watched
from serving.traffic.watched import KEPT_SECONDS, Known, WatchedFigures, read_watched
from tests.serving.fakes import Clock

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
TABLE = route_table([Variant(model="flowers", version=1, weight=1, role="champion")])
SERVED = {"flowers": [1]}
METRIC = {"output": "kind", "metric": "accuracy", "value": 0.8, "baseline": 0.9}


def known(**changes: Any) -> Known:
    fields: dict[str, Any] = {
        "at": AT,
        "served": SERVED,
        "alerts": (),
        "drift": (),
        "performance": (),
        "predicted": {},
        "profiled": {},
        "retrainings": (),
        "undelivered": (0, 0),
    }
    return Known(**{**fields, **changes})


class Database:
    """Answers with what it is told to, or not."""

    def __init__(self, answer: object = None) -> None:
        self.answer = known() if answer is None else answer
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__[T](self, query: Callable[[Store], T]) -> T:  # noqa: ARG002 - it answers anything
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


def samples(figures: WatchedFigures, name: str) -> dict[tuple[str, ...], float]:
    """The labels' values of a family to its figure."""
    [family] = [one for one in figures.collect() if one.name == f"modelyard_{name}"]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def read_once(answer: object = None) -> WatchedFigures:
    async def read() -> WatchedFigures:
        made = WatchedFigures(Database(answer), clock=Clock())
        await made.refresh(TABLE)
        return made

    return asyncio.run(read())


def test_figures_are_read_again_only_when_they_are_old() -> None:
    async def scrape() -> list[int]:
        clock, database = Clock(), Database()
        figures = WatchedFigures(database, clock=clock)
        counts = []
        for later in (0.0, KEPT_SECONDS / 2, KEPT_SECONDS / 2, 0.0):
            clock.now += later
            await figures.refresh(TABLE)
            counts.append(database.asked)
        return counts

    assert asyncio.run(scrape()) == [1, 1, 2, 2]


def test_a_database_that_hangs_is_asked_once_and_holds_no_scrape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched, "WAIT_SECONDS", 0.01)

    async def scrape() -> tuple[int, float, float]:
        clock, database = Clock(), Database()
        figures = WatchedFigures(database, clock=clock)
        database.gate.clear()
        for _ in range(3):
            clock.now += 60
            await figures.refresh(TABLE)
        before = samples(figures, "database_up")[()]
        database.gate.set()
        await figures.refresh(TABLE)
        return database.asked, before, samples(figures, "database_up")[()]

    assert asyncio.run(scrape()) == (1, 0.0, 1.0)


@pytest.mark.parametrize(
    "fault",
    [Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "away"), RuntimeError("a bug")],
    ids=["away", "bug"],
)
def test_what_was_last_read_is_told_while_it_cannot_be_read_again(fault: Exception) -> None:
    async def scrape() -> WatchedFigures:
        clock, database = Clock(), Database()
        figures = WatchedFigures(database, clock=clock)
        await figures.refresh(TABLE)
        database.answer, clock.now = fault, clock.now + 60
        await figures.refresh(TABLE)
        return figures

    figures = asyncio.run(scrape())
    assert samples(figures, "database_up") == {(): 0.0}
    assert samples(figures, "database_read_timestamp_seconds") == {(): AT.timestamp()}


def test_before_the_first_reading_there_is_only_that_there_was_none() -> None:
    figures = WatchedFigures(Database())
    assert [family.name for family in figures.collect()] == ["modelyard_database_up"]


def test_a_model_without_alerts_has_noughts_so_that_rules_can_see_them_go() -> None:
    found = samples(read_once(), "alerts_open")
    assert found == {
        ("flowers", kind, level): 0.0
        for kind in ("drift", "performance", "estimate")
        for level in ("warning", "critical", "immediate")
    }


def test_drift_is_told_by_column_once_each() -> None:
    columns = (("age", 0.3, True), ("age", 0.2, True), ("sex", 0.0, False))
    drift = DriftFigure("c", "flowers", 1, "1000", AT, 1000, columns)
    figures = read_once(known(drift=[drift]))
    assert samples(figures, "drift_effect") == {
        ("flowers", "1", "1000", "age"): 0.3,
        ("flowers", "1", "1000", "sex"): 0.0,
    }
    assert len(samples(figures, "drift_detected")) == 2
    assert samples(figures, "drift_columns") == {("flowers", "1", "1000"): 2.0}


def test_labelled_and_estimated_performance_stand_beside_each_other() -> None:
    looks = [
        PerformanceFigure("flowers", 1, "1000", AT, 1000, 900, [{**METRIC, "degradation": 0.11}]),
        PerformanceFigure("flowers", 1, "1000", AT, 1000, 0, [{**METRIC, "estimated": True}]),
    ]
    figures = read_once(known(performance=looks))
    place = ("flowers", "1", "1000", "kind", "accuracy")
    assert samples(figures, "performance") == {(*place, "false"): 0.8, (*place, "true"): 0.8}
    assert samples(figures, "performance_degradation") == {(*place, "false"): 0.11}
    assert samples(figures, "labelled_share") == {("flowers", "1", "1000"): 0.9}


@pytest.mark.parametrize(
    ("profiled", "lag"),
    [({}, None), ({("flowers", 1): AT - timedelta(minutes=5)}, 300), ({("flowers", 1): AT}, 0)],
    ids=["never", "behind", "level"],
)
def test_profiles_are_as_far_behind_as_the_last_prediction_is_younger(
    profiled: dict[tuple[str, int], datetime], lag: float | None
) -> None:
    figures = read_once(known(predicted={("flowers", 1): AT}, profiled=profiled))
    expected = {} if lag is None else {("flowers", "1"): float(lag)}
    assert samples(figures, "profile_lag_seconds") == expected


def test_when_profiles_were_written_is_read_from_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "profiles" / "flowers" / "1"
    (folder / "shadow").mkdir(parents=True)
    before = datetime.now(UTC)
    with open_store(f"sqlite:///{tmp_path}/yard.db") as store:
        found = read_watched(store, {"flowers": [1, 2]}, AT, tmp_path / "profiles")
    assert found.profiled.keys() == {("flowers", 1)}
    assert abs((found.profiled["flowers", 1] - before).total_seconds()) < 60


def test_an_endpoint_without_models_asks_for_none() -> None:
    async def scrape() -> Awaitable[None] | None:
        figures = WatchedFigures(Database(known(served={})))
        await figures.refresh(RouteTable())
        assert samples(figures, "alerts_open") == {}
        return None

    asyncio.run(scrape())
