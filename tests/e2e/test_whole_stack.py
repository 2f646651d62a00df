"""The services of the stack that the other files used, looked at and hurt; stopped in `yard`.

What Airflow and MLflow do when they are killed is in `test_drills.py`.
"""

from __future__ import annotations

import grpc
import httpx
import psutil
import pytest

from modelyard.stack import environment, processes, stack, state
from modelyard.stack.airflow_api import AirflowApi
from modelyard.stack.ports import read_ports
from modelyard.stack.services import training_slots
from tests.e2e.conftest import Yard, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

LOOPBACK = ("127.", "::1", "::ffff:127.")


def members(yard: Yard) -> list[psutil.Process]:
    return processes.members(environment.stack_id(yard.settings))


def row(yard: Yard, service: str) -> stack.ServiceStatus:
    return {row.service: row for row in stack.status(yard.settings)}[service]


def test_status_tells_every_service_healthy(yard: Yard) -> None:
    wait_until(lambda: all(row.healthy for row in stack.status(yard.settings)), 60)
    rows = stack.status(yard.settings)
    assert len(rows) >= 7
    assert all(row.pid and row.memory and row.processes for row in rows)


def test_all_sockets_are_on_the_loopback_address(yard: Yard) -> None:
    sockets = processes.open_sockets(members(yard))
    assert len(sockets) > 5
    assert {address for address in sockets if not address[0].startswith(LOOPBACK)} == set()


def test_a_second_start_finds_the_first(yard: Yard) -> None:
    again = stack.up(yard.settings, read_ports(any_free=True), lambda _event: None)
    assert not again.began_now
    assert again.ports == yard.running.ports


def test_trainings_have_a_pool(yard: Yard) -> None:
    with AirflowApi(yard.running.ports.url("airflow"), yard.running.keys.password) as api:
        api.set_pool("training", 99)
        pool = api._call("GET", "/pools/training")
    assert pool["slots"] == training_slots()


def test_nobody_gets_in_without_the_password(yard: Yard) -> None:
    url = yard.running.ports.url("airflow")
    assert httpx.get(f"{url}/api/v2/dags").status_code == 401
    login = {"username": "admin", "password": "admin"}
    assert httpx.post(f"{url}/auth/token", json=login).status_code == 401


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/serve/applications/", "/api/version"])
def test_the_dashboard_asks_for_rays_token(yard: Yard, path: str) -> None:
    url = f"{yard.running.ports.url('ray_dashboard')}{path}"
    token = yard.running.keys.ray_token_file.read_text()
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {token[::-1]}"}).status_code == 403
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_nobody_submits_a_job_without_the_token(yard: Yard) -> None:
    url = f"{yard.running.ports.url('ray_dashboard')}/api/jobs/"
    assert httpx.post(url, json={"entrypoint": "true"}).status_code == 401


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("ray", "/ray.rpc.NodeInfoGcsService/GetClusterId"),
        ("ray_client", "/ray.rpc.RayletDriver/ClusterInfo"),
    ],
)
def test_nobody_joins_the_cluster_without_the_token(yard: Yard, port: str, method: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{getattr(yard.running.ports, port)}") as channel:

        def answer(token: str) -> grpc.StatusCode:
            shown = (("authorization", f"Bearer {token}"),) if token else None
            try:
                channel.unary_unary(method)(b"", timeout=10, metadata=shown)
            except grpc.RpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        token = yard.running.keys.ray_token_file.read_text()
        assert answer("") is grpc.StatusCode.UNAUTHENTICATED
        assert answer(token[::-1]) is grpc.StatusCode.UNAUTHENTICATED
        assert answer(token) is not grpc.StatusCode.UNAUTHENTICATED


def test_no_secret_is_in_a_command_a_log_or_a_file_for_all(yard: Yard) -> None:
    """Everybody on the machine can list commands; logs are copied into tickets."""
    keys = yard.running.keys
    token = keys.ray_token_file.read_text()
    secrets = [
        word.encode() for word in (keys.jwt, keys.session, keys.fernet, keys.password, token)
    ]
    commands = [" ".join(process.cmdline()).encode() for process in members(yard)]
    ray = state.runtime_path(yard.settings) / "ray" / "session_latest" / "logs"
    folders = (
        yard.settings.home / "services" / "logs",
        yard.settings.home / "airflow" / "logs",
        ray,
    )
    logs = [file for folder in folders for file in folder.glob("**/*") if file.is_file()]
    assert len(commands) > 5
    assert len(logs) > 5
    for secret in secrets:
        assert not [text for text in commands if secret in text]
        assert not [file for file in logs if secret in file.read_bytes()]
    folder = keys.password_file.parent
    assert {file.stat().st_mode & 0o077 for file in (folder, *folder.iterdir())} == {0}


def test_serving_comes_back_after_ray_was_killed(yard: Yard) -> None:
    """With all that was deployed; Ray's head is the first of its processes."""
    served, models = _applications(yard), _models(yard)
    assert models is not None
    before = row(yard, "ray").pid
    assert before is not None
    psutil.Process(before).kill()
    wait_until(lambda: row(yard, "ray").pid not in {None, before} and row(yard, "ray").healthy, 240)
    wait_until(lambda: _models(yard) == models, 180)
    wait_until(lambda: row(yard, "serving").healthy, 60)
    assert _applications(yard) == served


def _models(yard: Yard) -> object:
    """What the endpoint serves, or None while it does not answer."""
    try:
        return httpx.get(f"{yard.client.endpoint}/health", timeout=5).json()["models"]
    except httpx.HTTPError:
        return None


def _applications(yard: Yard) -> list[str]:
    token = yard.running.keys.ray_token_file.read_text()
    found = httpx.get(
        f"{yard.running.ports.url('ray_dashboard')}/api/serve/applications/",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ).json()
    return sorted(found["applications"])
