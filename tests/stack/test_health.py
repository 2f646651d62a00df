from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelyard.stack.health import NOT_YET, AirflowCheck, FileCheck, HttpCheck
from tests.stack.conftest import Answers, Server

type Serve = Callable[[Answers], Server]


def component(status: str, age: timedelta) -> Answers:
    beat = (datetime.now(UTC) - age).isoformat()
    body = {"scheduler": {"status": status, "latest_scheduler_heartbeat": beat}}
    return {("GET", "/health"): (200, body)}


def ask(server: Server, since: float) -> str | None:
    return AirflowCheck(f"{server.url}/health", "scheduler")(since)


def test_a_url_that_answers_is_healthy(serve: Serve) -> None:
    server = serve({("GET", "/health"): (200, {})})
    assert HttpCheck(f"{server.url}/health")(0) is None


def test_a_url_that_refuses_says_so(serve: Serve) -> None:
    server = serve({("GET", "/health"): (503, {})})
    assert HttpCheck(f"{server.url}/health")(0) == f"{server.url}/health answers 503"


def test_a_url_is_shown_the_token_in_a_file(serve: Serve, tmp_path: Path) -> None:
    server = serve({("GET", "/health"): (200, {})})
    token = tmp_path / "token"
    check = HttpCheck(f"{server.url}/health", token)
    assert "token" in (check(0) or "")
    token.write_text("secret\n")
    assert check(0) is None
    assert server.shown == ["Bearer secret"]
    assert "secret" not in repr(check)


def test_a_url_of_somebody_else_is_not_airflows(serve: Serve) -> None:
    server = serve({("GET", "/health"): (200, "<html>")})
    assert "is not Airflow's" in (ask(server, 0) or "")


def test_a_url_where_nobody_listens_says_so(ports: object) -> None:
    url = f"http://127.0.0.1:{ports.mlflow}/health"
    assert "does not answer" in (HttpCheck(url)(0) or "")


def test_a_component_with_a_heartbeat_is_healthy(serve: Serve) -> None:
    assert ask(serve(component("healthy", timedelta())), time.time() - 5) is None


def test_a_heartbeat_of_an_earlier_start_does_not_count(serve: Serve) -> None:
    server = serve(component("healthy", timedelta(seconds=20)))
    assert ask(server, time.time() - 5) == "no heartbeat yet"


def test_a_component_that_airflow_gave_up_is_not_healthy(serve: Serve) -> None:
    assert ask(serve(component("unhealthy", timedelta())), time.time() - 5) == "status unhealthy"


def test_a_component_that_never_ran_is_not_healthy(serve: Serve) -> None:
    server = serve({("GET", "/health"): (200, {"scheduler": None})})
    assert ask(server, 0) == "no heartbeat yet"


def test_a_file_speaks_for_its_service(tmp_path: Path) -> None:
    file = tmp_path / "serving.json"
    check = FileCheck(file)
    assert check(0) == NOT_YET
    file.write_text(json.dumps({"problem": "no room"}))
    assert check(0) == "no room"
    file.write_text(json.dumps({"problem": None}))
    assert check(0) is None


def test_a_file_of_an_earlier_start_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "serving.json"
    file.write_text(json.dumps({"problem": None}))
    assert FileCheck(file)(time.time() + 60) == NOT_YET
