"""What the stack's processes find in their environment."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from modelyard.settings import Settings
from modelyard.stack.keys import ADMIN, Keys
from modelyard.stack.ports import HOST, Ports
from modelyard.stack.processes import STACK

UNWANTED = (
    "PYTHONDONTWRITEBYTECODE",  # without cached bytecode every start takes twice as long
    "RAY_ADDRESS",  # a process would join a cluster that is not ours
    "RAY_AUTH_TOKEN",  # it would be preferred to our token's file
    "MODELYARD_API_KEY",  # it is for commands, and no service needs it
    "MLFLOW_TRACKING_URI",
    "AIRFLOW_CONFIG",
)
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WHYLOGS_NO_ANALYTICS": "True",
    "DVC_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "SCARF_ANALYTICS": "false",
    "NO_COLOR": "1",
}


ADDRESSES = (
    "MODELYARD_TRACKING_URI",
    "MODELYARD_RAY_ADDRESS",
    "MODELYARD_SERVE_API",
    "MODELYARD_RAY_TOKEN_PATH",
    "MODELYARD_ENDPOINT",
    "MODELYARD_AIRFLOW_URL",
)


def stack_id(settings: Settings) -> str:
    """Name the stack of a home folder; the same each time, so that leftovers are known as ours."""
    return hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]


def shared(settings: Settings, ports: Ports) -> dict[str, str]:
    """All that every service of the stack gets, on top of what the user's shell has."""
    inherited = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    ours = {**_modelyard(settings, ports), **_ray(settings)}
    return {**inherited, **QUIET, **_python(inherited), **ours}


def client(settings: Settings, ports: Ports) -> dict[str, str]:
    """What a process beside the stack needs to use it: its addresses, and where Ray's token lies."""
    ours = _modelyard(settings, ports)
    return {name: ours[name] for name in ADDRESSES}


def _python(inherited: Mapping[str, str]) -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join([bin_folder, inherited.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        # A process that renames itself would otherwise write over the mark that finds it.
        "SPT_NOENV": "1",
    }


def _modelyard(settings: Settings, ports: Ports) -> dict[str, str]:
    values = {
        STACK: stack_id(settings),
        "MODELYARD_PROJECT": str(settings.project.absolute()),
        "MODELYARD_HOME": str(settings.home),
        "MODELYARD_TRACKING_URI": ports.url("mlflow"),
        "MODELYARD_RAY_ADDRESS": f"{HOST}:{ports.ray}",
        "MODELYARD_SERVE_API": ports.url("ray_dashboard"),
        "MODELYARD_RAY_TOKEN_PATH": str(own_ray_token(settings)),
        "MODELYARD_ENDPOINT": endpoint_url(settings, ports),
        "MODELYARD_AIRFLOW_URL": ports.url("airflow"),
    }
    if settings.database_override:
        values["MODELYARD_DATABASE_URL"] = settings.database_override
    for name in ("tls_certificate", "tls_key", "tls_ca"):
        file = getattr(settings, name)
        if file is not None:  # services do not stand where the command was given
            values[f"MODELYARD_{name.upper()}"] = str(file.absolute())
    return values


def endpoint_url(settings: Settings, ports: Ports) -> str:
    """Spell the endpoint's address; it talks TLS where there is a certificate."""
    url = ports.url("endpoint")
    return url if settings.tls_certificate is None else url.replace("http:", "https:", 1)


def own_ray_token(settings: Settings) -> Path:
    """The file with the token of the stack's Ray, whatever cluster the settings name."""
    return settings.home / "secrets" / "ray_token"


def _ray(settings: Settings) -> dict[str, str]:
    return {
        # Ray takes 127.0.0.1 for the machine's outward address, and listens on every interface,
        # unless it is told that this system cannot be part of a cluster.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_COLOR_PREFIX": "0",
        # Whoever reaches Ray's ports runs code here, so all of them ask for a token; its file is
        # named here and not its text, which every process's owner could read.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(own_ray_token(settings)),
    }


def airflow(settings: Settings, ports: Ports, keys: Keys) -> dict[str, str]:
    """Airflow's own settings; they hold its keys, so only its services get them."""
    url = ports.url("airflow")
    home = settings.home / "airflow"
    values = {
        "CORE__DAGS_FOLDER": settings.project.absolute() / "dags",
        "CORE__PLUGINS_FOLDER": settings.project.absolute() / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__PARALLELISM": 3,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": keys.fernet,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": keys.password_file,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": False,
        # With SQLite the api-server's own requests can wait for each other; its five seconds end that,
        # and `AirflowApi` asks again.
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "API__HOST": HOST,
        "API__PORT": ports.airflow,
        "API__BASE_URL": url,
        "API__WORKERS": 1,
        "API__SECRET_KEY": keys.session,
        "API_AUTH__JWT_SECRET": keys.jwt,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 10,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        # How soon the DAG of a removed spec goes: 13 s instead of 83.
        "DAG_PROCESSOR__STALE_DAG_THRESHOLD": 10,
        "SCHEDULER__PARSING_CLEANUP_INTERVAL": 5,
        # By default a second is slept between two tasks: 10 s of a run's nine stages instead of 3.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.1,
        # How soon the task of a killed worker or scheduler is retried: 49 s and 12 s.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 30,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 5,
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 10,
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 20,
        "LOGGING__COLORED_CONSOLE_LOG": False,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    named = {f"AIRFLOW__{name}": str(value) for name, value in values.items()}
    return {"AIRFLOW_HOME": str(home), **named}
