"""Decisions are carried out: database, then Ray Serve, then aliases; again after a crash."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest

from modelyard.artifacts import RegisteredVersion
from modelyard.errors import ServingError, TrackingError, UsageError
from modelyard.rollout import deploy as module
from modelyard.rollout.deploy import Rollout
from modelyard.rollout.moves import Author
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.store.database import Store
from tests.rollout.fakes import FakeServe

ME = Author("me")


def spec(canary: Sequence[float] = ()) -> Spec:
    return Spec.model_validate(
        {
            "name": "m",
            "data": {"path": "data/m.csv"},
            "model": {},
            "serve": {"rollout": {"canary": list(canary)}},
        }
    )


def registered(version: int) -> RegisteredVersion:
    return RegisteredVersion(key="k", model="m", version=version, alias=None, mlflow_run="r")


class Aliases:
    """A model registry, as far as rollout needs one."""

    def __init__(self) -> None:
        self.now: dict[str, int | None] = {}
        self.down = False

    def __call__(self, _model: str, alias: str, version: int | None) -> None:
        if self.down:
            message = "MLflow does not answer"
            raise TrackingError(message)
        self.now[alias] = version


@pytest.fixture
def aliases() -> Aliases:
    return Aliases()


@pytest.fixture
def control(settings: Settings, store: Store, aliases: Aliases) -> Rollout:
    return Rollout(settings, store, aliases, lambda _model, version: version)


def shares(store: Store) -> dict[int, tuple[float, str]]:
    return {item.version: (item.weight, item.role) for item in store.variants("m")}


def actions(store: Store) -> list[str]:
    return [entry.action for entry in store.ledger("m")][::-1]


def test_the_first_version_is_served_at_once(
    control: Rollout, serve: FakeServe, store: Store, aliases: Aliases
) -> None:
    deployment = control.deploy(spec([0.05]), registered(1), ME)
    assert shares(store) == {1: (1, "champion")}
    assert serve.apps() == ["modelyard-m-v1", "modelyard"]
    assert serve.table() == control.table()
    assert aliases.now == {"champion": 1, "challenger": None}
    assert deployment.endpoint == f"{serve.url}/models/m/predict"
    assert [(share.version, share.weight) for share in deployment.variants] == [(1, 1)]


def test_a_later_version_starts_before_it_gets_traffic(
    control: Rollout, serve: FakeServe, store: Store, aliases: Aliases
) -> None:
    control.deploy(spec(), registered(1), ME)
    serve.puts.clear()
    control.deploy(spec([0.05]), registered(2), ME)
    first, second = serve.puts
    tables = [put["applications"][-1]["deployments"][0]["user_config"] for put in (first, second)]
    assert [[route["share"] for route in table["models"]["m"]] for table in tables] == [
        [1.0, 0.0],
        [0.95, 0.05],
    ]
    assert aliases.now == {"champion": 1, "challenger": 2}
    assert shares(store) == {1: (0.95, "champion"), 2: (0.05, "challenger")}
    assert actions(store) == ["deploy", "promote", "deploy", "canary"]


def test_replicas_are_asked_for_each_version(control: Rollout, serve: FakeServe) -> None:
    control.deploy(spec(), registered(1), ME)
    control.deploy(spec(), registered(2), ME)
    counts = [app["deployments"][0].get("num_replicas") for app in serve.config["applications"]]
    assert counts[:2] == [1, 2]


def test_replicas_of_what_runs_are_not_asked_for_again(
    control: Rollout, settings: Settings, store: Store, serve: FakeServe
) -> None:
    control.deploy(spec(), registered(3), ME)
    control.deploy(spec(), registered(4), ME)

    def away(_model: str, _version: int) -> int:
        raise AssertionError

    Rollout(settings, store, count_replicas=away).rollback("m", ME)
    counts = [app["deployments"][0].get("num_replicas") for app in serve.config["applications"]]
    assert counts[:2] == [3, 4]


def test_a_version_that_does_not_start_is_taken_away_and_the_old_one_serves(
    control: Rollout, serve: FakeServe, store: Store
) -> None:
    control.deploy(spec(), registered(1), ME)
    serve.broken["modelyard-m-v2"] = "OSError: disk is full"
    with pytest.raises(ServingError, match="disk is full"):
        control.deploy(spec(), registered(2), ME)
    assert shares(store) == {1: (1, "champion")}
    assert serve.apps() == ["modelyard-m-v1", "modelyard"]
    assert actions(store)[-1] == "withdraw"
    assert "disk is full" in store.ledger("m")[0].reason


def test_deploying_again_in_the_same_run_does_nothing_twice(control: Rollout, store: Store) -> None:
    author = Author("stage", "run-1")
    control.deploy(spec(), registered(1), author)
    first = control.deploy(spec([0.05]), registered(2), Author("stage", "run-2"))
    again = control.deploy(spec([0.05]), registered(2), Author("stage", "run-2"))
    assert first == again
    assert actions(store) == ["deploy", "promote", "deploy", "canary"]


def test_a_late_retry_does_not_undo_a_roll_back(control: Rollout, store: Store) -> None:
    control.deploy(spec(), registered(1), ME)
    author = Author("stage", "run-2")
    control.deploy(spec([0.05]), registered(2), author)
    control.rollback("m", ME)
    control.deploy(spec([0.05]), registered(2), author)
    assert shares(store) == {1: (1, "champion")}


def test_a_deployment_that_was_interrupted_is_finished_by_the_retry(
    control: Rollout, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = Author("stage", "run-1")
    with monkeypatch.context() as patch:
        patch.setattr(module.moves, "begin", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            control.deploy(spec(), registered(1), author)
    assert shares(store) == {1: (0, "challenger")}
    control.deploy(spec(), registered(1), author)
    assert shares(store) == {1: (1, "champion")}


def test_promote_and_roll_back_move_traffic_and_aliases(
    control: Rollout, serve: FakeServe, store: Store, aliases: Aliases
) -> None:
    control.deploy(spec(), registered(1), ME)
    control.deploy(spec([0.1]), registered(2), ME)
    control.promote("m", None, ME)
    assert shares(store) == {1: (0, "warm"), 2: (1, "champion")}
    assert aliases.now == {"champion": 2, "challenger": None}
    control.rollback("m", ME)
    assert shares(store) == {1: (1, "champion"), 2: (0, "warm")}
    assert aliases.now == {"champion": 1, "challenger": None}
    assert serve.table() == control.table()


def test_promoting_a_version_that_is_not_deployed_starts_it_first(
    control: Rollout, serve: FakeServe, store: Store
) -> None:
    control.deploy(spec(), registered(1), ME)
    control.promote("m", 5, ME)
    assert shares(store) == {1: (0, "warm"), 5: (1, "champion")}
    assert actions(store)[-2:] == ["deploy", "promote"]
    assert "modelyard-m-v5" in serve.apps()


def test_a_split_starts_several_versions_where_none_is_served(
    control: Rollout, store: Store
) -> None:
    control.split("m", {1: 1, 2: 3}, ME)
    assert {item.version: item.weight for item in store.variants("m")} == {1: 0.25, 2: 0.75}


def test_a_split_starts_what_it_needs(control: Rollout, store: Store) -> None:
    control.deploy(spec(), registered(1), ME)
    control.split("m", {1: 3, 4: 1}, ME)
    assert shares(store) == {1: (0.75, "champion"), 4: (0.25, "challenger")}


def test_a_refused_decision_changes_nothing(control: Rollout, serve: FakeServe) -> None:
    control.deploy(spec(), registered(1), ME)
    serve.puts.clear()
    with pytest.raises(UsageError):
        control.rollback("m", ME)
    assert serve.puts == []


def test_traffic_moves_although_the_registry_is_away(
    control: Rollout, serve: FakeServe, store: Store, aliases: Aliases
) -> None:
    control.deploy(spec(), registered(1), ME)
    control.deploy(spec(), registered(2), ME)
    aliases.down = True
    with pytest.raises(TrackingError):
        control.rollback("m", ME)
    assert shares(store)[1] == (1, "champion")
    assert serve.table() == control.table()


def test_a_decision_is_kept_although_serve_is_away(
    control: Rollout, serve: FakeServe, store: Store
) -> None:
    control.deploy(spec(), registered(1), ME)
    control.deploy(spec(), registered(2), ME)
    serve.refusal = "not now"
    with pytest.raises(ServingError, match="not now"):
        control.rollback("m", ME)
    assert shares(store)[1] == (1, "champion")
    serve.refusal = None
    control.sync()
    assert serve.table() == control.table()


def test_sync_makes_an_empty_serve_as_the_database_says(control: Rollout, serve: FakeServe) -> None:
    control.deploy(spec(), registered(1), ME)
    before = serve.config
    serve.config = {"applications": []}
    control.sync()
    assert serve.config == before


def test_sync_without_any_model_starts_the_endpoint(control: Rollout, serve: FakeServe) -> None:
    control.sync()
    assert serve.apps() == ["modelyard"]
    assert serve.table().models == {}


def test_without_serve_decisions_are_kept_for_later(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    offline = Rollout(settings.model_copy(update={"serve_api": None}), store)
    with caplog.at_level(logging.WARNING):
        offline.deploy(spec(), registered(1), ME)
    assert shares(store) == {1: (1, "champion")}
    assert "served after: make up" in caplog.text


def test_changes_at_the_same_time_all_arrive(
    settings: Settings, store: Store, serve: FakeServe
) -> None:
    def deploy_one(name: str) -> None:
        version = registered(1).model_copy(update={"model": name})
        Rollout(settings, store).deploy(spec().model_copy(update={"name": name}), version, ME)

    names = [f"model-{number}" for number in range(6)]
    threads = [threading.Thread(target=deploy_one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert serve.table() == Rollout(settings, store).table()
    assert sorted(serve.table().models) == names
