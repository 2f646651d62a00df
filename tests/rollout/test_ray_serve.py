"""Ray Serve's configuration, and the client of its REST API."""

from __future__ import annotations

import json

import pytest

from modelyard.errors import ServingError
from modelyard.rollout.ray_serve import Endpoint, NotStarted, ServeClient, serve_config
from modelyard.rollout.routes import route_table
from modelyard.settings import Settings
from modelyard.store.records import Role, Variant
from tests.rollout.fakes import FakeServe


def variant(version: int, weight: float, role: Role) -> Variant:
    return Variant(model="m", version=version, weight=weight, role=role)


TWO = [variant(1, 0.9, "champion"), variant(2, 0.1, "challenger")]


def apps(config: dict[str, object]) -> dict[str, dict[str, object]]:
    return {app["name"]: app for app in config["applications"]}  # type: ignore[attr-defined]


def test_each_variant_is_an_application_without_a_route(settings: Settings) -> None:
    found = apps(serve_config(TWO, settings))
    assert list(found) == ["modelyard-m-v1", "modelyard-m-v2", "modelyard"]
    assert found["modelyard-m-v2"]["args"] == {"model": "m", "version": 2}
    assert found["modelyard-m-v2"]["route_prefix"] is None
    assert found["modelyard"]["route_prefix"] is None


def test_a_change_of_weights_changes_only_the_route_table(settings: Settings) -> None:
    before = apps(serve_config(TWO, settings))
    after = apps(serve_config([variant(1, 0, "warm"), variant(2, 1, "champion")], settings))
    assert before["modelyard-m-v1"] == after["modelyard-m-v1"]
    assert before["modelyard-m-v2"] == after["modelyard-m-v2"]
    [old], [new] = before["modelyard"].pop("deployments"), after["modelyard"].pop("deployments")  # type: ignore[misc]
    assert before["modelyard"] == after["modelyard"]
    assert {key for key in old if old[key] != new[key]} == {"user_config"}


def test_the_order_of_variants_makes_no_difference(settings: Settings) -> None:
    assert serve_config(TWO, settings) == serve_config(TWO[::-1], settings)


def test_replicas_are_those_of_the_version(settings: Settings) -> None:
    found = apps(serve_config(TWO, settings, {("m", 2): 3}))
    counts = [app["deployments"][0].get("num_replicas") for app in found.values()]  # type: ignore[index]
    assert counts == [1, 3, 1]


def test_serve_runs_no_proxy_for_the_endpoint_listens_itself(settings: Settings) -> None:
    changed = {"endpoint": "http://127.0.0.1:8123", "endpoint_processes": 2}
    config = serve_config(TWO, settings.model_copy(update=changed))
    assert config["proxy_location"] == "Disabled"
    assert all(app["route_prefix"] is None for app in config["applications"])
    endpoint = apps(config)["modelyard"]
    assert endpoint["args"] == {"host": "127.0.0.1", "port": 8123}
    assert endpoint["deployments"][0]["num_replicas"] == 2  # type: ignore[index]


def test_deployments_leave_the_cpus_to_trainings(settings: Settings) -> None:
    for app in serve_config(TWO, settings)["applications"]:
        assert app["deployments"][0]["ray_actor_options"] == {"num_cpus": 0}


def test_the_configuration_is_plain_json_without_secrets(settings: Settings) -> None:
    text = json.dumps(serve_config(TWO, settings))
    assert settings.database_url not in text


def test_waiting_ends_when_all_run_and_tells_each_state(
    serve: FakeServe, settings: Settings
) -> None:
    told: list[str] = []
    with ServeClient(serve.url) as client:
        client.put(serve_config(TWO, settings))
        client.wait_running(["modelyard-m-v1", "modelyard"], progress=told.append)
    assert [line.split(" (")[0] for line in told] == [
        "modelyard-m-v1: running",
        "modelyard: running",
    ]


def test_an_application_that_fails_is_named_with_its_reason(
    serve: FakeServe, settings: Settings
) -> None:
    serve.broken["modelyard-m-v2"] = "Traceback...\nmodelyard.errors.DataError: no such file\n\n"
    with ServeClient(serve.url) as client:
        client.put(serve_config(TWO, settings))
        with pytest.raises(NotStarted, match=r"^modelyard-m-v2 did not start: no such file"):
            client.wait_running(["modelyard-m-v2"])


def test_an_application_that_takes_too_long_is_named(serve: FakeServe, settings: Settings) -> None:
    serve.stuck.add("modelyard-m-v2")
    with ServeClient(serve.url) as client:
        client.put(serve_config(TWO, settings))
        with pytest.raises(NotStarted, match=r"modelyard-m-v2 .*still DEPLOYING"):
            client.wait_running(["modelyard-m-v1", "modelyard-m-v2"], timeout=0)


def test_a_refusal_of_serve_is_told(serve: FakeServe) -> None:
    serve.refusal = "no such import path"
    with ServeClient(serve.url) as client, pytest.raises(ServingError, match="no such import path"):
        client.put({})


def test_without_a_dashboard_the_error_says_what_to_do() -> None:
    with ServeClient("http://127.0.0.1:9") as client, pytest.raises(ServingError, match="make up"):
        client.statuses()


def test_shutting_down_asks_serve_to_end(serve: FakeServe) -> None:
    with ServeClient(serve.url) as client:
        client.shut_down()
    assert serve.deleted


def test_the_endpoint_is_waited_for_until_it_routes_by_the_table(
    serve: FakeServe, settings: Settings
) -> None:
    with ServeClient(serve.url) as client:
        client.put(serve_config(TWO, settings))
    wanted = route_table(TWO).revision
    Endpoint(serve.url).wait_revision(lambda: wanted)
    serve.routes_by = "older"
    with pytest.raises(ServingError, match="still routes by an older table"):
        Endpoint(serve.url).wait_revision(lambda: wanted, timeout=0)


def test_an_endpoint_that_does_not_answer_is_told() -> None:
    with pytest.raises(ServingError, match="does not answer"):
        Endpoint("http://127.0.0.1:9").wait_revision(lambda: "", timeout=0)
