"""The real services, once: started, looked at, hurt, and stopped without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from modelyard.settings import Settings
from modelyard.stack import environment, processes, stack, state
from modelyard.stack.airflow_api import AirflowApi
from modelyard.stack.lifecycle import Event, Phase
from modelyard.stack.ports import is_free, read_ports
from modelyard.stack.services import training_slots
from tests.stack.conftest import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

LOOPBACK = ("127.", "::1", "::ffff:127.")
DAG = """
from airflow.sdk import dag, task

@dag(dag_id="train_trial", schedule=None)
def trial():
    @task
    def split():
        print("hello from the task")
        return {"key": "abc"}

    split()

trial()
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    project = tmp_path_factory.mktemp("whole")
    for name in ("model_specs", "dags", "plugins"):
        (project / name).mkdir()
    (project / "dags" / "trial.py").write_text(DAG)
    return Settings(project=project)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def running(settings: Settings, events: list[Event]) -> Iterator[stack.Running]:
    try:
        yield stack.up(settings, read_ports(any_free=True), events.append)
    finally:
        stack.down(settings)


def members(settings: Settings, service: str | None = None) -> list[psutil.Process]:
    return processes.members(environment.stack_id(settings), service)


def test_every_service_becomes_healthy(running: stack.Running, events: list[Event]) -> None:
    assert running.began_now
    failed = [(e.service.name, e.detail) for e in events if e.phase is Phase.FAILED]
    assert failed == []


@pytest.mark.usefixtures("running")
def test_status_tells_every_service_healthy(settings: Settings) -> None:
    wait_until(lambda: all(row.healthy for row in stack.status(settings)), 60)
    rows = {row.service: row for row in stack.status(settings)}
    assert len(rows) == 7
    assert all(row.pid and row.memory and row.processes for row in rows.values())


@pytest.mark.usefixtures("running")
def test_all_sockets_are_on_the_loopback_address(settings: Settings) -> None:
    sockets = processes.open_sockets(members(settings))
    assert len(sockets) > 5
    assert {address for address in sockets if not address[0].startswith(LOOPBACK)} == set()


def test_a_second_start_finds_the_first(running: stack.Running, settings: Settings) -> None:
    again = stack.up(settings, read_ports(any_free=True), lambda _event: None)
    assert not again.began_now
    assert again.ports == running.ports


def test_a_dag_runs_through_the_rest_interface(running: stack.Running) -> None:
    with AirflowApi(running.ports.url("airflow"), running.keys.password) as api:
        api.wait_for_dag("train_trial", 120)
        api.unpause("train_trial")
        run = api.trigger("train_trial", {}, note="test")
        *_, last = api.follow("train_trial", run, 120)
        assert last.state == "success"
        assert api.result("train_trial", run, "split") == {"key": "abc"}
        log = api.task_log("train_trial", run, last.tasks[0])
        assert any("hello from the task" in line for line in log)


def test_trainings_have_a_pool(running: stack.Running) -> None:
    with AirflowApi(running.ports.url("airflow"), running.keys.password) as api:
        api.set_pool("training", 99)
        pool = api._call("GET", "/pools/training")
    assert pool["slots"] == training_slots()


def test_nobody_gets_in_without_the_password(running: stack.Running) -> None:
    url = running.ports.url("airflow")
    assert httpx.get(f"{url}/api/v2/dags").status_code == 401
    login = {"username": "admin", "password": "admin"}
    assert httpx.post(f"{url}/auth/token", json=login).status_code == 401


@pytest.mark.parametrize("service", ["mlflow", "ray"])
@pytest.mark.usefixtures("running")
def test_a_killed_service_is_healthy_again(settings: Settings, service: str) -> None:
    before = {row.service: row.pid for row in stack.status(settings)}[service]
    assert before is not None
    psutil.Process(before).kill()

    def again() -> bool:
        row = {row.service: row for row in stack.status(settings)}[service]
        return row.pid not in {None, before} and row.healthy

    wait_until(again, 120)


@pytest.mark.usefixtures("running")
def test_serving_comes_back_after_ray_was_killed(
    running: stack.Running, settings: Settings
) -> None:
    url = f"{running.ports.url('endpoint')}/health"

    def answers() -> bool:
        try:
            return httpx.get(url, timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    wait_until(answers, 180)
    assert {row.service: row for row in stack.status(settings)}["serving"].healthy


def test_stopping_leaves_nothing(running: stack.Running, settings: Settings) -> None:
    before = shared_memory()
    assert stack.down(settings)
    assert members(settings) == []
    assert not state.leftovers(settings)
    assert all(is_free(port) for port in running.ports.model_dump().values())
    assert shared_memory() <= before
    assert not stack.down(settings)


def shared_memory() -> set[Path]:
    """What Ray's object store and Python's multiprocessing name their files."""
    folder = Path("/dev/shm")
    return {*folder.glob("plasma*"), *folder.glob("pym-*")}
