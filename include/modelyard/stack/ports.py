"""Which ports the stack listens on, all on the loopback address, and who else holds them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import psutil
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from modelyard.errors import StackError, UsageError

HOST = "127.0.0.1"
PREFIX = "MODELYARD_PORT_"


class Ports(BaseSettings):
    """One port a service; 0 stands for any free one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    airflow: int = Field(default=8080, ge=0, le=65535, description="Airflow's web page and API.")
    mlflow: int = Field(default=5000, ge=0, le=65535, description="MLflow's web page and API.")
    ray_dashboard: int = Field(default=8265, ge=0, le=65535, description="Ray's web page and API.")
    ray: int = Field(default=6380, ge=0, le=65535, description="Ray's cluster address.")
    ray_client: int = Field(default=0, ge=0, le=65535, description="Ray's client server.")
    endpoint: int = Field(default=8000, ge=0, le=65535, description="Where predictions are served.")

    def url(self, service: str) -> str:
        """Spell a service's address for a browser."""
        return f"http://{HOST}:{getattr(self, service)}"


def read_ports(*, any_free: bool = False) -> Ports:
    """Read the ports from the environment; `any_free` ignores it and leaves all to chance.

    Raises:
        UsageError: a variable is no port, or two services share one.
    """
    if any_free:
        return Ports.model_validate(dict.fromkeys(Ports.model_fields, 0))
    try:
        ports = Ports()
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        message = f"{PREFIX}{field.upper()} must be a port from 1 to 65535, or 0 for any free one"
        raise UsageError(message) from error
    _refuse_twins(ports)
    return ports


def _refuse_twins(ports: Ports) -> None:
    seen: dict[int, str] = {}
    for service, port in _numbers(ports):
        if port and port in seen:
            message = f"{service} and {seen[port]} were both given port {port}"
            raise UsageError(message, hint=f"set {PREFIX}{service.upper()} to another")
        seen[port] = service


def _numbers(ports: Ports) -> Iterator[tuple[str, int]]:
    for service in Ports.model_fields:
        yield service, getattr(ports, service)


def claim(ports: Ports) -> Ports:
    """Replace each 0 by a free port, and refuse what somebody else listens on.

    Raises:
        StackError: ports are taken; names every one of them, its holder and what to do.
    """
    taken = [
        _complaint(service, port) for service, port in _numbers(ports) if port and not is_free(port)
    ]
    if taken:
        raise StackError("\n".join(taken))
    with contextlib.ExitStack() as held:
        chosen = {
            service: port or _free_port(held, ports.model_dump().values())
            for service, port in _numbers(ports)
        }
    return Ports.model_validate(chosen)


def is_free(port: int) -> bool:
    """Whether nobody listens there on the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port(held: contextlib.ExitStack, wanted: object) -> int:
    """Ask the system for a port, and hold it until all are chosen, so that none comes twice."""
    while True:
        probe = held.enter_context(socket.socket())
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
        if port not in set(wanted):  # type: ignore[call-overload]
            return port


def _complaint(service: str, port: int) -> str:
    return (
        f"port {port} for {service} is taken by {holder(port)}; "
        f"stop that, or choose another port: {PREFIX}{service.upper()}=0 takes any free one"
    )


def holder(port: int) -> str:
    """Say in words who listens on a port: pid and command, as far as the system tells."""
    pid = next((found for found in _listeners(port) if found), None)
    if pid is None:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return f"pid {pid}"
    return f"pid {pid} ({command[:100]})"


def _listeners(port: int) -> Iterator[int | None]:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS lets only root look
        return
    for connection in connections:
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            yield connection.pid
