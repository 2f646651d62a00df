"""The services of the stack: what each runs, what it waits for and how its health is asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.settings import Settings
from modelyard.stack import environment
from modelyard.stack.health import AirflowCheck, Check, FileCheck, HttpCheck
from modelyard.stack.keys import Keys
from modelyard.stack.ports import HOST, Ports
from modelyard.stack.ray_worker import HOOK, SETUP_HOOK

READY_FILE = "serving.json"
STEWARD_FILE = "steward.json"
OBJECT_STORE_BYTES = 256 * 1024 * 1024
START_SECONDS = 240.0
AIRFLOW_STOP_SECONDS = 6
"""Airflow waits for running tasks and triggers; both are begun again at the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One program under the supervisor."""

    name: str
    title: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    """What must be healthy before this one is started."""
    check: Check | None = None
    """None for a program that does one thing and ends."""
    url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What it gets beyond the environment that all share; may hold keys."""
    start_seconds: float = START_SECONDS
    stop_seconds: int = 10
    vital: bool = True
    """Whether the stack is of no use without it."""

    @property
    def once(self) -> bool:
        """Whether it is done when it ends."""
        return self.check is None


def all_services(
    settings: Settings, ports: Ports, keys: Keys, runtime: Path
) -> tuple[Service, ...]:
    """List the stack's services, each after all that it waits for."""
    return (
        _mlflow(settings, ports),
        _ray(ports, keys, runtime),
        *_airflow(settings, ports, keys),
        _serving(settings, ports),
        _steward(settings, ports, keys),
    )


def _mlflow(settings: Settings, ports: Ports) -> Service:
    home = settings.home / "mlflow"
    url = ports.url("mlflow")
    options = {
        "--host": HOST,
        "--port": str(ports.mlflow),
        "--backend-store-uri": f"sqlite:///{home / 'mlflow.db'}",
        "--default-artifact-root": str(settings.artifact_root),
        "--workers": "1",
    }
    return Service(
        name="mlflow",
        title="MLflow",
        command=(_program("mlflow"), "server", "--no-serve-artifacts", *_flat(options)),
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        check=HttpCheck(f"{url}/health"),
        url=url,
    )


def _ray(ports: Ports, keys: Keys, runtime: Path) -> Service:
    url = ports.url("ray_dashboard")
    options = {
        "--node-ip-address": HOST,
        "--port": str(ports.ray),
        "--ray-client-server-port": str(ports.ray_client),
        "--dashboard-host": HOST,
        "--dashboard-port": str(ports.ray_dashboard),
        "--include-dashboard": "true",
        "--dashboard-agent-listen-port": "0",
        # Ray's own default for workers is ports 10002 to 19999, which may be anybody's.
        "--min-worker-port": "0",
        "--max-worker-port": "0",
        "--include-log-monitor": "false",
        "--object-store-memory": str(OBJECT_STORE_BYTES),
        # Serving must find room beside a training that takes a whole core.
        "--num-cpus": str(max(2, _cores())),
        "--temp-dir": str(runtime / "ray"),
    }
    command = (_program("ray"), "start", "--head", "--block", "--disable-usage-stats")
    return Service(
        name="ray",
        title="Ray",
        command=(*command, *_flat(options)),
        check=HttpCheck(f"{url}/api/serve/applications/", keys.ray_token_file),
        url=url,
        environment={
            # Ray would wait for running actors to end by themselves; serving was stopped before.
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            # On a busy machine a node takes longer than the usual 30 s to be known to its own head.
            "RAY_raylet_start_wait_time_s": "120",
            # Ray's workers would yield to everything else; here only trainings do, by themselves.
            "RAY_worker_niceness": "0",
            SETUP_HOOK: HOOK,
        },
    )


def _airflow(settings: Settings, ports: Ports, keys: Keys) -> tuple[Service, ...]:
    program = _program("airflow")
    url = ports.url("airflow")
    health = f"{url}/api/v2/monitor/health"
    own = environment.airflow(settings, ports, keys)
    migrated, web = "airflow-migrate", "airflow-api-server"

    def component(
        name: str, title: str, *command: str, after: tuple[str, ...], check: Check | None
    ) -> Service:
        return Service(
            name=name,
            title=title,
            command=(program, *command),
            after=after,
            check=check,
            url=url if name == web else None,
            environment=own,
            stop_seconds=AIRFLOW_STOP_SECONDS,
        )

    return (
        component(migrated, "Airflow database", "db", "migrate", after=(), check=None),
        component(web, "Airflow", "api-server", after=(migrated,), check=HttpCheck(health)),
        component(
            "airflow-dag-processor",
            "Airflow DAG processor",
            "dag-processor",
            after=(migrated,),
            check=AirflowCheck(health, "dag_processor"),
        ),
        # A scheduler that is up before the api-server lets queued tasks fail.
        component(
            "airflow-scheduler",
            "Airflow scheduler",
            "scheduler",
            "--skip-serve-logs",  # it would listen on every interface
            after=(web,),
            check=AirflowCheck(health, "scheduler"),
        ),
        component(
            "airflow-triggerer",
            "Airflow triggerer",
            "triggerer",
            "--skip-serve-logs",
            after=(web,),
            check=AirflowCheck(health, "triggerer"),
        ),
    )


def _serving(settings: Settings, ports: Ports) -> Service:
    return Service(
        name="serving",
        title="Ray Serve",
        command=(sys.executable, "-m", "modelyard.stack.keeper"),
        after=("mlflow", "ray"),
        check=FileCheck(services_folder(settings) / READY_FILE),
        url=environment.endpoint_url(settings, ports),
        vital=False,
    )


def _steward(settings: Settings, ports: Ports, keys: Keys) -> Service:
    """What moves rollouts on; it bears with whatever is away."""
    return Service(
        name="steward",
        title="Rollouts",
        command=(sys.executable, "-m", "modelyard.stack.steward"),
        after=("mlflow", "ray"),
        check=FileCheck(services_folder(settings) / STEWARD_FILE),
        environment={
            "MODELYARD_AIRFLOW_URL": ports.url("airflow"),
            "MODELYARD_AIRFLOW_PASSWORD_FILE": str(keys.password_file),
            # NumPy's threads would each keep memory for a few hundred numbers.
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        },
        vital=False,
    )


def services_folder(settings: Settings) -> Path:
    """Where the stack keeps its state and logs."""
    return settings.home / "services"


def log_file(settings: Settings, service: str) -> Path:
    """The log of one service."""
    return services_folder(settings) / "logs" / f"{service}.log"


def training_slots() -> int:
    """How many trainings may run at once: one core is left to everything else."""
    return max(1, _cores() - 1)


def _cores() -> int:
    return os.cpu_count() or 1


def _program(name: str) -> str:
    """A command of the environment that this process runs in."""
    return str(Path(sys.executable).parent / name)


def _flat(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(part for option in options.items() for part in option)
