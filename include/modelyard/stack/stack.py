"""The whole stack: up, down and how it is."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field

from modelyard.errors import StackError
from modelyard.settings import Settings
from modelyard.stack import environment, processes, state
from modelyard.stack.airflow_api import AirflowApi
from modelyard.stack.keys import Keys, make_keys
from modelyard.stack.lifecycle import Event, Report, start, stop
from modelyard.stack.ports import Ports, claim
from modelyard.stack.services import (
    Service,
    all_services,
    log_file,
    services_folder,
    training_slots,
)
from modelyard.stack.supervisor import State, Supervisor
from modelyard.tls import tls_files

MIGRATE = "airflow-migrate"
POOL = "training"


class Running(BaseModel):
    """A stack that is up, and how to reach it."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    recorded: state.Recorded
    keys: Keys
    began_now: bool = Field(description="Whether this call started it.")

    @property
    def ports(self) -> Ports:
        """The ports that it listens on."""
        return self.recorded.ports

    def client_settings(self, settings: Settings) -> Settings:
        """The settings of a process that uses this stack."""
        return _client_settings(settings, self.ports)


def _client_settings(settings: Settings, ports: Ports) -> Settings:
    return settings.model_copy(
        update={
            "tracking_override": ports.url("mlflow"),
            "ray_address": f"127.0.0.1:{ports.ray}",
            "serve_api": ports.url("ray_dashboard"),
            "ray_token_override": environment.own_ray_token(settings),
            "endpoint": environment.endpoint_url(settings, ports),
        }
    )


def running(settings: Settings) -> Running | None:
    """Return the stack of this home folder if it is up."""
    recorded = state.read(settings)
    if recorded is None or not recorded.alive:
        return None
    return Running(recorded=recorded, keys=_keys(settings), began_now=False)


def up(settings: Settings, ports: Ports, report: Report) -> Running:
    """Start the stack, or return the one that is up already.

    Raises:
        StackError: a port is taken, or a service did not become healthy; nothing is left running.
    """
    with state.only_one(settings):
        found = running(settings)
        if found is not None:
            return found
        tls_files(_client_settings(settings, ports))  # refused before anything is started
        stop(settings)  # what a crash or a power cut left behind
        ports = claim(ports)
        keys = _keys(settings)
        _start(settings, ports, keys, report)
        recorded = state.read(settings)
        if recorded is None:
            message = "the stack was stopped while it started"
            raise StackError(message)
    return Running(recorded=recorded, keys=keys, began_now=True)


def _start(settings: Settings, ports: Ports, keys: Keys, report: Report) -> None:
    services = all_services(settings, ports, keys, state.runtime_path(settings))
    stamp = _migrated(settings)
    if stamp.exists() and (stamp.parent / "airflow.db").exists():
        services = without(services, MIGRATE)
    for name in ("mlflow", "airflow"):
        (settings.home / name).mkdir(parents=True, exist_ok=True)

    def note(event: Event) -> None:
        if event.service.name == MIGRATE and event.phase == "healthy":
            stamp.touch()
        report(event)

    def launched(pid: int) -> None:
        state.record(settings, pid, ports)

    start(settings, services, environment.shared(settings, ports), note, launched)
    try:
        with AirflowApi(ports.url("airflow"), keys.password) as api:
            api.set_pool(POOL, training_slots())
    except BaseException:
        stop(settings)
        raise


def without(services: Sequence[Service], name: str) -> tuple[Service, ...]:
    """Leave a service out, and nobody waiting for it."""
    return tuple(
        replace(service, after=tuple(other for other in service.after if other != name))
        for service in services
        if service.name != name
    )


def _migrated(settings: Settings) -> Path:
    """The file that says that Airflow's database is as this version of Airflow wants it."""
    return settings.home / "airflow" / f"migrated-{importlib.metadata.version('apache-airflow')}"


def _keys(settings: Settings) -> Keys:
    return make_keys(settings.home / "secrets")


def down(settings: Settings) -> bool:
    """Stop the stack; return whether there was anything to stop."""
    with state.only_one(settings):
        return stop(settings)


class ServiceStatus(BaseModel):
    """How one service is."""

    model_config = ConfigDict(frozen=True)

    service: str
    title: str
    state: str = Field(description="supervisord's word: RUNNING, STARTING, BACKOFF, FATAL ...")
    healthy: bool
    problem: str | None = Field(description="What keeps it from being healthy.")
    pid: int | None
    uptime: float | None = Field(description="Seconds.")
    memory: int = Field(description="Resident bytes of all its processes.")
    processes: int
    url: str | None
    log: str


def status(settings: Settings) -> tuple[ServiceStatus, ...]:
    """Ask how each service is; nothing if the stack is down."""
    found = running(settings)
    if found is None:
        return ()
    runtime = state.runtime_path(settings)
    states = Supervisor(runtime).states()
    members: dict[str | None, list[psutil.Process]] = {}
    for process in processes.members(environment.stack_id(settings)):
        members.setdefault(processes.service_of(process), []).append(process)
    services = all_services(settings, found.ports, found.keys, runtime)
    return tuple(
        _status(settings, service, states[service.name], members.get(service.name, []))
        for service in services
        if service.name in states and not service.once
    )


def _status(
    settings: Settings, service: Service, now: State, members: Sequence[psutil.Process]
) -> ServiceStatus:
    # supervisord calls a service STARTING for its first seconds, healthy or not.
    up_and_running = now.state in {"RUNNING", "STARTING"}
    problem = now.problem
    if up_and_running and service.check is not None:
        problem = service.check(now.since) or ""
    return ServiceStatus(
        service=service.name,
        title=service.title,
        state=now.state,
        healthy=up_and_running and not problem,
        problem=problem or None,
        pid=now.pid,
        uptime=time.time() - now.since if up_and_running else None,
        memory=processes.memory(members),
        processes=len(members),
        url=service.url,
        log=str(log_file(settings, service.name)),
    )


def log_files(settings: Settings, service: str | None) -> dict[str, Path]:
    """Find the logs of one service or of all.

    Raises:
        StackError: there is no such log.
    """
    found = {file.stem: file for file in sorted((services_folder(settings) / "logs").glob("*.log"))}
    if service is None:
        return found
    matching = {name: file for name, file in found.items() if service in name}
    if not matching:
        known = ", ".join(found) or "none; the stack was never started"
        message = f"there is no log of a service {service!r}"
        raise StackError(message, hint=f"logs: {known}")
    return matching
