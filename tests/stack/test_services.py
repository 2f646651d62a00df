from __future__ import annotations

import stat
from pathlib import Path

import pytest

from modelyard.errors import ServingError
from modelyard.settings import Settings
from modelyard.stack import environment, ray_worker, stack, state
from modelyard.stack.keys import make_keys
from modelyard.stack.ports import HOST, Ports, read_ports
from modelyard.stack.services import Service, training_slots
from modelyard.stack.stack import without


def test_every_service_comes_after_what_it_waits_for(services: dict[str, Service]) -> None:
    names = list(services)
    for name, service in services.items():
        assert all(names.index(other) < names.index(name) for other in service.after)


def test_the_scheduler_waits_for_the_api_server(services: dict[str, Service]) -> None:
    assert "airflow-api-server" in services["airflow-scheduler"].after


def test_what_is_slow_to_start_waits_for_nothing(services: dict[str, Service]) -> None:
    assert not any(services[name].after for name in ("mlflow", "ray", "airflow-migrate"))


def test_only_the_migration_is_done_when_it_ends(services: dict[str, Service]) -> None:
    assert [name for name, service in services.items() if service.once] == ["airflow-migrate"]


def test_the_stack_lives_without_serving_and_its_steward(services: dict[str, Service]) -> None:
    spared = [name for name, service in services.items() if not service.vital]
    assert spared == ["serving", "steward"]


def test_log_servers_that_listen_on_every_interface_are_left_out(
    services: dict[str, Service],
) -> None:
    for name in ("airflow-scheduler", "airflow-triggerer"):
        assert "--skip-serve-logs" in services[name].command


def test_no_command_holds_a_key(services: dict[str, Service], settings: Settings) -> None:
    """Everybody on the machine can read a process's command."""
    keys = make_keys(settings.home / "secrets")
    words = {word for service in services.values() for word in service.command}
    assert not words & {keys.jwt, keys.session, keys.fernet, keys.password}


@pytest.mark.parametrize("name", ["mlflow", "ray", "serving"])
def test_only_airflow_gets_its_keys(services: dict[str, Service], name: str) -> None:
    assert not any(variable.startswith("AIRFLOW") for variable in services[name].environment)


def test_a_service_left_out_is_waited_for_by_nobody(services: dict[str, Service]) -> None:
    left = without(list(services.values()), "airflow-migrate")
    assert "airflow-migrate" not in {service.name for service in left}
    assert not any("airflow-migrate" in service.after for service in left)


def test_trainings_leave_a_core_to_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert training_slots() == 7
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert training_slots() == 1


def test_children_find_the_stack_in_their_environment(settings: Settings, ports: Ports) -> None:
    found = environment.shared(settings, ports)
    assert found["MODELYARD_HOME"] == str(settings.home)
    assert found["MODELYARD_TRACKING_URI"] == f"http://{HOST}:{ports.mlflow}"
    assert found["MODELYARD_RAY_ADDRESS"] == f"{HOST}:{ports.ray}"
    assert found["MODELYARD_SERVE_API"] == f"http://{HOST}:{ports.ray_dashboard}"
    assert found["MODELYARD_ENDPOINT"] == f"http://{HOST}:{ports.endpoint}"


def test_children_show_rays_token_and_are_told_its_file_only(
    settings: Settings, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    file = make_keys(settings.home / "secrets").ray_token_file
    found = environment.shared(settings, ports)
    assert found["RAY_AUTH_MODE"] == "token"
    assert found["RAY_AUTH_TOKEN_PATH"] == found["MODELYARD_RAY_TOKEN_PATH"] == str(file)
    assert file.read_text() not in found.values()
    assert "RAY_AUTH_TOKEN" not in found


def test_a_certificate_makes_the_endpoints_address_one_of_tls(
    settings: Settings, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(settings.project)
    files = {"tls_certificate": Path("endpoint.pem"), "tls_key": Path("endpoint.key")}
    found = environment.shared(settings.model_copy(update=files), ports)
    assert found["MODELYARD_ENDPOINT"] == f"https://{HOST}:{ports.endpoint}"
    assert found["MODELYARD_TLS_CERTIFICATE"] == str(settings.project / "endpoint.pem")
    assert found["MODELYARD_TLS_KEY"] == str(settings.project / "endpoint.key")


def test_a_key_for_commands_is_no_services(
    settings: Settings, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_API_KEY", "secret")
    assert "MODELYARD_API_KEY" not in environment.shared(settings, ports)


def test_bytecode_is_cached_whatever_the_shell_says(
    settings: Settings, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    found = environment.shared(settings, ports)
    assert not {"PYTHONDONTWRITEBYTECODE", "RAY_ADDRESS"} & set(found)


def test_programs_of_this_environment_come_first(settings: Settings, ports: Ports) -> None:
    import sys

    path = environment.shared(settings, ports)["PATH"]
    assert path.startswith(str(Path(sys.executable).parent))


def test_the_database_is_handed_on_only_if_it_is_another(settings: Settings, ports: Ports) -> None:
    assert "MODELYARD_DATABASE_URL" not in environment.shared(settings, ports)
    other = settings.model_copy(update={"database_override": "postgresql://db/modelyard"})
    found = environment.shared(other, ports)["MODELYARD_DATABASE_URL"]
    assert found == "postgresql://db/modelyard"


def test_nothing_calls_home(settings: Settings, ports: Ports) -> None:
    found = environment.shared(settings, ports)
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert found["WHYLOGS_NO_ANALYTICS"] == "True"


def test_airflow_keeps_its_files_out_of_the_dags(settings: Settings, ports: Ports) -> None:
    found = environment.airflow(settings, ports, make_keys(settings.home / "secrets"))
    assert not Path(found["AIRFLOW_HOME"]).is_relative_to(found["AIRFLOW__CORE__DAGS_FOLDER"])


def test_airflow_passwords_are_those_that_were_made(settings: Settings, ports: Ports) -> None:
    keys = make_keys(settings.home / "secrets")
    found = environment.airflow(settings, ports, keys)
    assert found["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] == str(keys.password_file)
    assert stat.S_IMODE(keys.password_file.stat().st_mode) == 0o600


def test_a_stack_is_named_by_its_home(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"home_override": tmp_path / "other"})
    again = Settings(project=settings.project)
    again = again.model_copy(update={"home_override": settings.home})
    assert environment.stack_id(settings) == environment.stack_id(again)
    assert environment.stack_id(settings) != environment.stack_id(other)


def test_ray_workers_keep_their_sockets_to_this_machine(services: dict[str, Service]) -> None:
    hook = services["ray"].environment[ray_worker.SETUP_HOOK]
    module, _, function = hook.rpartition(".")
    assert module == ray_worker.__name__
    assert getattr(ray_worker, function) is ray_worker.listen_on_loopback


@pytest.mark.heavy
def test_ray_looks_for_the_hook_where_we_put_it() -> None:
    from ray._private import ray_constants

    assert ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR == ray_worker.SETUP_HOOK


@pytest.mark.heavy
def test_what_listens_everywhere_is_brought_to_the_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ray._common import tls_utils

    asked = []
    monkeypatch.setattr(
        tls_utils, "add_port_to_grpc_server", lambda _, where: asked.append(where) or 7
    )
    ray_worker.listen_on_loopback()
    assert [
        tls_utils.add_port_to_grpc_server(None, address) for address in ("[::]:0", "127.0.0.1:1")
    ] == [7, 7]
    assert asked == ["127.0.0.1:0", "127.0.0.1:1"]


def test_a_certificate_that_is_not_there_is_refused_before_anything_is_started(
    settings: Settings,
) -> None:
    files = {"tls_certificate": Path("/none.pem"), "tls_key": Path("/none.key")}
    with pytest.raises(ServingError, match=r"/none\.pem cannot be read"):
        stack.up(settings.model_copy(update=files), read_ports(any_free=True), lambda _event: None)
    assert not state.leftovers(settings)
