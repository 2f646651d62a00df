from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelyard.settings import Settings
from modelyard.stack import keeper
from modelyard.stack.keys import make_keys
from tests.stack.conftest import Answers, Server, wait_until

VERSION = ("GET", "/api/version")
APPLICATIONS = ("GET", keeper.APPLICATIONS)
TAKE_DOWN = ("DELETE", keeper.APPLICATIONS)

type Serve = Callable[[Answers], Server]


@pytest.fixture
def dashboard(serve: Serve) -> Server:
    """What the keeper asks of Ray's dashboard."""
    return serve(
        {
            VERSION: (200, {"session_name": "session_1"}),
            APPLICATIONS: (200, {"applications": {}}),
            TAKE_DOWN: (200, {}),
        }
    )


@pytest.fixture
def with_ray(settings: Settings, dashboard: Server) -> Settings:
    return settings.model_copy(update={"serve_api": dashboard.url})


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What each synchronisation says; the keeper is ended when there is none left."""
    results: list[str | None] = []

    def next_result() -> str | None:
        return results.pop(0)

    monkeypatch.setattr(keeper, "_synchronise", next_result)
    monkeypatch.setattr(keeper.time, "sleep", lambda _seconds: None)
    return results


def test_the_dashboard_is_shown_the_token(with_ray: Settings, dashboard: Server) -> None:
    assert keeper.session_name(with_ray) == "session_1"
    token = make_keys(with_ray.home / "secrets").ray_token_file.read_text()
    assert keeper.session_name(with_ray) == "session_1"
    keeper.stop_serving(with_ray)
    assert dashboard.shown == [None, f"Bearer {token}", f"Bearer {token}"]


def keep(settings: Settings) -> None:
    with pytest.raises(IndexError):
        keeper.keep(settings)


def said(settings: Settings) -> object:
    return json.loads(keeper.ready_file(settings).read_text())["problem"]


def test_a_session_is_known_by_its_name(with_ray: Settings) -> None:
    assert keeper.session_name(with_ray) == "session_1"


def test_a_ray_that_is_down_has_no_session(settings: Settings) -> None:
    down = settings.model_copy(update={"serve_api": "http://127.0.0.1:1"})
    assert keeper.session_name(down) is None


def test_what_serving_said_is_written_down(with_ray: Settings, outcomes: list[str | None]) -> None:
    outcomes += ["no room", "no room"]
    keep(with_ray)
    assert said(with_ray) == "no room"


def test_a_first_failure_is_tried_again_before_it_is_told(
    with_ray: Settings, outcomes: list[str | None]
) -> None:
    outcomes.append("Serve is starting")
    keep(with_ray)
    assert not keeper.ready_file(with_ray).exists()


def test_a_failure_is_tried_again_until_it_is_served(
    with_ray: Settings, outcomes: list[str | None], dashboard: Server
) -> None:
    outcomes += ["no room", "no room", None]
    sessions = iter(["session_1"] * 5 + ["session_2"])
    dashboard.answers[VERSION] = lambda: (200, {"session_name": next(sessions, "session_2")})
    keep(with_ray)
    assert said(with_ray) is None


def test_a_new_session_of_ray_is_served_anew(
    with_ray: Settings, outcomes: list[str | None], dashboard: Server
) -> None:
    outcomes += [None, None]
    names = iter(["session_1", "session_1", "session_2", "session_2", "session_3"])
    dashboard.answers[VERSION] = lambda: (200, {"session_name": next(names)})
    keep(with_ray)
    assert outcomes == []


def test_nothing_is_taken_down_where_nothing_is_served(
    with_ray: Settings, dashboard: Server
) -> None:
    keeper.stop_serving(with_ray)
    assert not any(method == "DELETE" for method, _, _ in dashboard.asked)


def test_applications_are_taken_down_and_waited_for(with_ray: Settings, dashboard: Server) -> None:
    left = iter([{"one": {}}, {"one": {}}, {}])
    dashboard.answers[APPLICATIONS] = lambda: (200, {"applications": next(left)})
    keeper.stop_serving(with_ray)
    assert [method for method, _, _ in dashboard.asked] == ["GET", "DELETE", "GET", "GET"]


def test_a_ray_that_is_gone_does_not_keep_the_stack_from_stopping(settings: Settings) -> None:
    keeper.stop_serving(settings.model_copy(update={"serve_api": "http://127.0.0.1:1"}))


@pytest.fixture
def process(with_ray: Settings, dashboard: Server) -> Iterator[subprocess.Popen[bytes]]:
    dashboard.answers[VERSION] = (503, {})
    variables = {
        "MODELYARD_PROJECT": str(with_ray.project),
        "MODELYARD_HOME": str(with_ray.home),
        "MODELYARD_SERVE_API": dashboard.url,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "modelyard.stack.keeper"], env={**os.environ, **variables}
    ) as running:
        yield running
        running.kill()


def test_a_stopped_keeper_takes_serving_down(
    process: subprocess.Popen[bytes], dashboard: Server
) -> None:
    """Replicas write out what they logged when they are taken down, not when they are killed."""
    dashboard.answers[APPLICATIONS] = (200, {"applications": {"one": {}}})

    def gone() -> tuple[int, object]:
        dashboard.answers[APPLICATIONS] = (200, {"applications": {}})
        return 200, {}

    dashboard.answers[TAKE_DOWN] = gone
    wait_until(lambda: dashboard.asked)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert ("DELETE", keeper.APPLICATIONS, None) in dashboard.asked


def test_the_ready_file_is_where_the_stack_looks(settings: Settings) -> None:
    assert keeper.ready_file(settings) == Path(settings.home) / "services" / "serving.json"
