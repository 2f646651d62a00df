"""The calls and refusals, against a server that speaks as Airflow does; the real one is in test_whole_stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from modelyard.errors import StackError
from modelyard.stack import airflow_api
from modelyard.stack.airflow_api import AirflowApi, RunState, Task
from tests.stack.conftest import Answers, Server

TOKEN = ("POST", "/auth/token")
DAG = "/api/v2/dags/train_digits"
RUN = f"{DAG}/dagRuns/run-1"


@pytest.fixture
def server(serve: Callable[[Answers], Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(airflow_api, "POLL_SECONDS", 0.01)
    return serve({TOKEN: (201, {"access_token": "t1"})})


@pytest.fixture
def api(server: Server) -> Iterator[AirflowApi]:
    with AirflowApi(server.url, "secret") as client:
        yield client


def run_is(server: Server, *states: str) -> None:
    left = list(states)
    server.answers["GET", RUN] = lambda: (200, {"state": left.pop(0) if len(left) > 1 else left[0]})
    tasks = [{"task_id": "pull", "state": "success", "try_number": 1, "unknown": 1}]
    server.answers["GET", f"{RUN}/taskInstances"] = (200, {"task_instances": tasks})


def test_the_password_buys_a_token(api: AirflowApi, server: Server) -> None:
    server.answers["PATCH", DAG] = (200, {})
    api.unpause("train_digits")
    assert server.asked == [
        ("POST", "/auth/token", {"username": "admin", "password": "secret"}),
        ("PATCH", DAG, {"is_paused": False}),
    ]


def test_one_token_serves_many_calls(api: AirflowApi, server: Server) -> None:
    server.answers["PATCH", DAG] = (200, {})
    api.unpause("train_digits")
    api.unpause("train_digits")
    assert [path for _, path, _ in server.asked].count("/auth/token") == 1


def test_a_token_that_ran_out_is_bought_anew(api: AirflowApi, server: Server) -> None:
    answers = iter([(401, {"detail": "expired"}), (200, {})])
    server.answers["PATCH", DAG] = lambda: next(answers)
    api.unpause("train_digits")
    assert [path for _, path, _ in server.asked].count("/auth/token") == 2


def test_a_wrong_password_is_told(api: AirflowApi, server: Server) -> None:
    server.answers[TOKEN] = (401, {"detail": "Invalid credentials"})
    with pytest.raises(StackError, match="refused POST /auth/token: 401 Invalid credentials"):
        api.unpause("train_digits")


def test_an_airflow_that_is_down_is_told(ports: object) -> None:
    url = f"http://127.0.0.1:{ports.airflow}"
    with (
        AirflowApi(url, "secret") as api,
        pytest.raises(StackError, match="Airflow does not answer at"),
    ):
        api.unpause("train_digits")


def test_a_run_is_triggered_as_the_web_page_does(api: AirflowApi, server: Server) -> None:
    server.answers["POST", f"{DAG}/dagRuns"] = (200, {"dag_run_id": "run-1"})
    assert api.trigger("train_digits", {"tune": False}, note="hello") == "run-1"
    body = {"logical_date": None, "conf": {"tune": False}, "note": "hello"}
    assert server.asked[-1] == ("POST", f"{DAG}/dagRuns", body)


def test_a_refusal_carries_airflows_own_words(api: AirflowApi, server: Server) -> None:
    server.answers["POST", f"{DAG}/dagRuns"] = (400, {"detail": "Invalid input for param x"})
    with pytest.raises(StackError, match="400 Invalid input for param x"):
        api.trigger("train_digits", {})


def test_a_database_that_is_locked_is_asked_again(api: AirflowApi, server: Server) -> None:
    locked = {"detail": {"reason": "Database error", "statement": "hidden"}}
    answers = iter([(500, locked), (500, locked), (200, {})])
    server.answers["PATCH", DAG] = lambda: next(answers)
    api.unpause("train_digits")
    assert next(answers, None) is None


def test_a_database_that_stays_locked_is_told(
    api: AirflowApi, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_api, "BUSY_SECONDS", 0.0)
    server.answers["PATCH", DAG] = (500, {"detail": {"reason": "Database error"}})
    with pytest.raises(StackError, match=r"500 .*Database error"):
        api.unpause("train_digits")


def test_a_run_is_followed_until_it_is_over(api: AirflowApi, server: Server) -> None:
    run_is(server, "queued", "running", "success")
    states = [progress.state for progress in api.follow("train_digits", "run-1", 10)]
    assert states == [RunState.QUEUED, RunState.RUNNING, RunState.SUCCESS]


def test_a_run_tells_its_tasks(api: AirflowApi, server: Server) -> None:
    run_is(server, "success")
    assert api.progress("train_digits", "run-1").tasks == (
        Task(task_id="pull", state="success", try_number=1),
    )


def test_an_api_server_that_restarts_is_waited_for(api: AirflowApi, server: Server) -> None:
    run_is(server, "success")
    answers = iter([(503, {"detail": "starting"}), (200, {"state": "success"})])
    server.answers["GET", RUN] = lambda: next(answers)
    assert [p.state for p in api.follow("train_digits", "run-1", 10)] == [RunState.SUCCESS]


def test_a_run_that_takes_too_long_is_told(api: AirflowApi, server: Server) -> None:
    run_is(server, "running")
    with pytest.raises(StackError, match="is not over after"):
        list(api.follow("train_digits", "run-1", 0.05))


def test_a_dag_is_waited_for(api: AirflowApi, server: Server) -> None:
    answers = iter([(404, {}), (200, {})])
    server.answers["GET", DAG] = lambda: next(answers)
    api.wait_for_dag("train_digits", 5)


def test_a_dag_that_does_not_come_tells_what_could_not_be_read(
    api: AirflowApi, server: Server
) -> None:
    errors = [{"filename": "train.py", "stack_trace": "SyntaxError: line 3"}]
    server.answers["GET", "/api/v2/importErrors"] = (200, {"import_errors": errors})
    with pytest.raises(StackError, match="SyntaxError: line 3"):
        api.wait_for_dag("train_digits", 0.02)


def test_a_pool_is_made_once_and_then_left_as_it_is(api: AirflowApi, server: Server) -> None:
    server.answers["POST", "/api/v2/pools"] = (201, {})
    api.set_pool("training", 3)
    assert server.asked[-1][2] == {
        "name": "training",
        "slots": 3,
        "description": "Trainings that may run at once.",
    }
    server.answers["GET", "/api/v2/pools/training"] = (200, {"slots": 1})
    api.set_pool("training", 3)
    assert server.asked[-1][0] == "GET"


@pytest.mark.parametrize("value", [{"key": "abc"}, '{"key": "abc"}'])
def test_what_a_task_returned_is_read(api: AirflowApi, server: Server, value: object) -> None:
    path = f"{RUN}/taskInstances/split/xcomEntries/return_value"
    server.answers["GET", path] = (200, {"value": value})
    assert api.result("train_digits", "run-1", "split") == {"key": "abc"}


def test_a_tasks_log_is_read_line_by_line(api: AirflowApi, server: Server) -> None:
    content = [{"timestamp": "12:00", "level": "error", "event": "no data"}, "a bare line"]
    path = f"{RUN}/taskInstances/pull/logs/2"
    server.answers["GET", path] = (200, {"content": content})
    task = Task(task_id="pull", try_number=2)
    assert api.task_log("train_digits", "run-1", task) == ["12:00 error no data", "a bare line"]


def test_an_answer_that_is_no_json_is_told_as_it_is(api: AirflowApi, server: Server) -> None:
    server.answers["PATCH", DAG] = (500, "Internal Server Error")
    with pytest.raises(StackError, match=r"500 .*Internal Server Error"):
        api.unpause("train_digits")
