"""The steward moves rollouts on, follows aliases that people move, and bears with what is away."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from modelyard.errors import StoreError, TrackingError, UsageError
from modelyard.rollout import moves
from modelyard.rollout.deploy import Rollout
from modelyard.settings import Settings
from modelyard.stack import steward as module
from modelyard.stack.approvals import Approvals, run_id
from modelyard.stack.steward import DATABASE, Steward
from modelyard.store.database import Store
from modelyard.store.records import RolloutRecord
from modelyard.tracking import aliases
from tests.rollout.fake_mlflow import FakeMlflow
from tests.rollout.fakes import FakeServe
from tests.rollout.test_automatic import count, good, spec, under_way
from tests.rollout.test_deploy import ME, actions, registered, shares


@pytest.fixture
def mlflow() -> Iterator[FakeMlflow]:
    started = FakeMlflow()
    yield started
    started.close()


@pytest.fixture
def steward(
    settings: Settings, store: Store, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> Steward:
    """Version 1 is champion."""
    monkeypatch.setattr(module, "PATIENCE", 0)
    told = settings.model_copy(update={"tracking_override": mlflow.url})
    control = Rollout(told, store, partial(aliases.point, told, patience=0))
    control.deploy(spec(), registered(1), ME)
    return Steward(control)


def twice(steward: Steward) -> None:
    steward.aliases()
    steward.aliases()


def test_moves_give_aliases_and_note_them(steward: Steward, mlflow: FakeMlflow) -> None:
    assert mlflow.aliases == {"champion": 1}
    assert mlflow.tags == {"modelyard.alias.champion": "1"}
    steward.control.deploy(spec(canary=[0.1]), registered(2), ME)
    assert mlflow.aliases == {"champion": 1, "challenger": 2}
    steward.control.promote("m", None, ME)
    assert mlflow.aliases == {"champion": 2}
    assert mlflow.tags == {"modelyard.alias.champion": "2"}
    twice(steward)
    assert actions(steward.store)[-1] == "promote"


def test_a_rollout_is_moved_on_once_its_evidence_suffices(steward: Steward) -> None:
    steward.control.deploy(spec(canary=[0.1]), registered(2), ME)
    steward.rollouts()
    assert shares(steward.store)[2] == (0.1, "challenger")
    good(steward.store)
    steward.rollouts()
    assert shares(steward.store)[2] == (1, "champion")
    steward.rollouts()
    assert steward.problems == {}


def test_a_champion_alias_that_was_moved_is_followed(
    steward: Steward, mlflow: FakeMlflow, serve: FakeServe
) -> None:
    steward.control.deploy(spec(), registered(2), ME)
    mlflow.aliases["champion"] = 1  # as MLflow's page does it
    twice(steward)
    assert shares(steward.store) == {1: (1, "champion"), 2: (0, "warm")}
    assert serve.table() == steward.control.table()
    entry = steward.store.ledger("m")[0]
    assert (entry.by, entry.reason) == (
        "MLflow alias",
        "the alias champion was moved to version 1 in MLflow",
    )
    twice(steward)
    assert mlflow.aliases == {"champion": 1}
    assert steward.store.ledger("m")[0] == entry


def test_an_alias_seen_once_may_be_one_that_is_being_noted(
    steward: Steward, mlflow: FakeMlflow
) -> None:
    steward.control.deploy(spec(), registered(2), ME)
    mlflow.aliases["champion"] = 1
    steward.aliases()
    assert shares(steward.store)[2] == (1, "champion")


def test_a_version_that_was_only_registered_is_left_alone(
    steward: Steward, mlflow: FakeMlflow
) -> None:
    mlflow.aliases["challenger"], mlflow.tags["modelyard.alias.challenger"] = 7, "7"
    twice(steward)
    assert mlflow.aliases["challenger"] == 7
    assert actions(steward.store) == ["deploy", "promote"]


def test_while_the_first_version_starts_its_alias_stays(
    settings: Settings, store: Store, mlflow: FakeMlflow, serve: FakeServe
) -> None:
    """Registered as champion, it is placed as a challenger for as long as it takes to start."""
    mlflow.aliases, mlflow.tags = {"champion": 1}, {"modelyard.alias.champion": "1"}
    told = settings.model_copy(update={"tracking_override": mlflow.url})
    control = Rollout(told, store, partial(aliases.point, told, patience=0))
    placed = moves.deploy([], "m", 1, ME)
    assert placed is not None
    store.move("m", placed.variants, placed.entry)
    twice(Steward(control))
    assert mlflow.aliases == {"champion": 1}
    assert serve.puts == []


def test_a_deleted_alias_is_given_again(steward: Steward, mlflow: FakeMlflow) -> None:
    del mlflow.aliases["champion"]
    twice(steward)
    assert mlflow.aliases == {"champion": 1}


def test_a_move_that_mlflow_did_not_hear_of_is_told_later(
    steward: Steward, mlflow: FakeMlflow
) -> None:
    steward.control.deploy(spec(), registered(2), ME)
    mlflow.down = True
    with pytest.raises(TrackingError):
        steward.control.rollback("m", ME)
    twice(steward)
    mlflow.down = False
    assert mlflow.aliases == {"champion": 2}
    twice(steward)
    assert mlflow.aliases == {"champion": 1}
    assert shares(steward.store)[1] == (1, "champion")


class Child:
    """A process that has ended."""

    def __init__(self, code: int, told: str = "") -> None:
        self.returncode, self._told = code, told

    def poll(self) -> int:
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        return self._told, None


def test_a_version_that_is_not_deployed_is_started_in_a_child(
    steward: Steward, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **_: (asked.append(words), Child(0))[1])
    mlflow.aliases["challenger"] = 5
    twice(steward)
    assert [words[3:] for words in asked] == [("--follow", "challenger", "m", "5")]
    assert asked[0][0] == sys.executable


def test_the_child_begins_a_rollout_for_a_challenger_alias(
    steward: Steward, mlflow: FakeMlflow, store: Store
) -> None:
    mlflow.aliases["challenger"] = 5
    serve = spec(canary=[0.2]).serve
    control = Rollout(
        steward.settings, store, steward.control.set_alias, read_serve=lambda *_: serve
    )
    module.follow(control, "challenger", "m", 5)
    assert shares(store) == {1: (0.8, "champion"), 5: (0.2, "challenger")}
    assert under_way(store).version == 5
    assert mlflow.aliases == {"champion": 1, "challenger": 5}
    twice(steward)
    assert under_way(store).version == 5


def test_an_alias_that_cannot_be_followed_goes_back(
    steward: Steward, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "modelyard-m-v5 did not start: disk is full"
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Child(module.CANNOT, told))
    mlflow.aliases["champion"] = 5
    twice(steward)
    steward.aliases()
    assert mlflow.aliases == {"champion": 1}
    assert told in steward.problems["alias champion of m"]


def test_the_champion_cannot_be_its_own_challenger(steward: Steward, mlflow: FakeMlflow) -> None:
    mlflow.aliases["challenger"] = 1
    twice(steward)
    assert mlflow.aliases == {"champion": 1}
    assert shares(steward.store) == {1: (1, "champion")}


def test_what_is_away_is_said_once_and_when_it_is_back(
    steward: Steward, mlflow: FakeMlflow, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow.down = True
    with caplog.at_level(logging.INFO, logger="modelyard"):
        for _ in range(3):
            steward.aliases()
        mlflow.down = False
        steward.aliases()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in lines] == ["aliases of m", "aliases of m"]
    assert lines[1].endswith("well again")


def test_a_database_that_is_away_stops_nothing(
    steward: Steward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        message = "the database does not answer"
        raise StoreError(message)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "variants", away)
        steward.rollouts()
        twice(steward)
        assert "does not answer" in steward.problems[DATABASE]
    steward.rollouts()
    assert DATABASE not in steward.problems


def test_one_models_surprise_does_not_stop_another(
    steward: Steward, monkeypatch: pytest.MonkeyPatch
) -> None:
    steward.control.deploy(spec(canary=[0.1]), registered(2), ME)
    monkeypatch.setattr("modelyard.rollout.attend.attend", lambda *_: 1 / 0)
    count(steward.store, 2, errors=(1, 0))
    steward.rollouts()
    assert "ZeroDivisionError" in steward.problems["rollout of m"]


def test_an_endpoint_with_an_older_table_is_given_the_new_one(
    steward: Steward, serve: FakeServe
) -> None:
    wanted = serve.config
    serve.config = {"applications": [serve.config["applications"][-1]]}
    serve.routes_by = "older"
    steward.endpoint()
    assert serve.config != wanted
    steward.endpoint()
    assert serve.config == wanted


class Airflow:
    """Airflow, as far as approvals need it."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, object]] = {}
        self.ended: list[str] = []

    def has_run(self, _dag: str, run: str) -> bool:
        return run in self.runs

    def trigger(self, _dag: str, conf: dict[str, object], _note: str, run: str) -> str:
        self.runs[run] = conf
        return run

    def end_run(self, _dag: str, run: str) -> None:
        self.ended.append(run)


def test_a_rollout_that_waits_is_asked_for_in_airflow_once(steward: Steward, store: Store) -> None:
    airflow = Airflow()
    steward.approvals = Approvals(airflow)  # type: ignore[arg-type]
    steward.control.deploy(spec(approve=True), registered(2), ME)
    record: RolloutRecord = under_way(store)
    steward.rollouts()
    Steward(steward.control, Approvals(airflow)).rollouts()  # type: ignore[arg-type]
    assert airflow.runs == {run_id(record): {"model": "m", "phase": record.phase}}
    steward.control.approve("m", ME)
    steward.rollouts()
    assert airflow.ended == [run_id(record)]


def test_without_airflow_approvals_are_given_by_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELYARD_AIRFLOW_URL", raising=False)
    assert Approvals.from_environment(settings) is None


def test_aliases_of_what_is_not_registered(settings: Settings, mlflow: FakeMlflow) -> None:
    told = settings.model_copy(update={"tracking_override": mlflow.url})
    assert aliases.read(told, "other") is None
    with pytest.raises(UsageError, match="no version 77"):
        aliases.point(told, "m", "champion", 77)


def test_a_steward_is_light() -> None:
    """It runs all the time, so what it imports counts."""
    code = "import modelyard.stack.steward, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"mlflow", "ray", "torch", "ludwig", "pandas", "scipy", "airflow"}
