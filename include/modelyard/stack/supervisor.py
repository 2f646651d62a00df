"""supervisord: the configuration that it gets, and what is asked of it over its socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import StackError
from modelyard.stack.keys import OWNER_ONLY
from modelyard.stack.services import Service

SOCKET = "supervisor.sock"
CONFIGURATION = "supervisord.conf"
PLAN = "plan.json"
START_SECONDS = 20.0
RETRIES = 5
STEADY_SECONDS = 3
"""A service that lives so long has started; one that dies sooner is tried again, ever later."""

_launched: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class State:
    """What supervisord says of a service."""

    name: str
    state: str
    pid: int | None
    since: float
    exit_code: int
    problem: str

    @property
    def stopped(self) -> bool:
        """Whether it does not run, and will not be started by itself."""
        return self.state in {"STOPPED", "EXITED", "FATAL", "UNKNOWN"}

    @property
    def gave_up(self) -> bool:
        """Whether it will not be tried again."""
        return self.state in {"FATAL", "UNKNOWN"}


def write_plan(services: Sequence[Service], runtime: Path, logs: Path) -> None:
    """Write what supervisord reads, and what `launch` reads; the plan may hold keys."""
    plan = {
        service.name: {"command": service.command, "environment": dict(service.environment)}
        for service in services
    }
    file = runtime / PLAN
    file.touch(mode=OWNER_ONLY)
    file.chmod(OWNER_ONLY)
    file.write_text(json.dumps(plan, indent=2), encoding="utf-8")
    (runtime / CONFIGURATION).write_text(configuration(services, runtime, logs), encoding="utf-8")


def configuration(services: Sequence[Service], runtime: Path, logs: Path) -> str:
    """Spell supervisord's configuration."""
    sections = [
        _section(
            "supervisord",
            nodaemon="true",
            umask="077",
            logfile=_value(logs / "supervisord.log"),
            logfile_maxbytes="1MB",
            logfile_backups="1",
            pidfile=_value(runtime / "supervisord.pid"),
            strip_ansi="true",
            directory=_value(runtime),
        ),
        _section("unix_http_server", file=_value(runtime / SOCKET), chmod="0600"),
        _section(
            "rpcinterface:supervisor",
            **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_program(service, level, runtime, logs) for service, level in _levels(services)),
    ]
    return "\n\n".join(sections) + "\n"


def _program(service: Service, level: int, runtime: Path, logs: Path) -> str:
    command = (sys.executable, "-m", "modelyard.stack.launch", str(runtime / PLAN), service.name)
    return _section(
        f"program:{service.name}",
        command=_value(shlex.join(command)),
        priority=str(level),
        autostart="false",
        autorestart="false" if service.once else "true",
        startsecs="0" if service.once else str(STEADY_SECONDS),
        startretries="0" if service.once else str(RETRIES),
        stopsignal="TERM",
        stopwaitsecs=str(service.stop_seconds),
        killasgroup="true",
        redirect_stderr="true",
        stdout_logfile=_value(logs / f"{service.name}.log"),
        stdout_logfile_maxbytes="10MB",
        stdout_logfile_backups="3",
    )


def _levels(services: Sequence[Service]) -> list[tuple[Service, int]]:
    """Number services by what they wait for; the highest is stopped first."""
    levels: dict[str, int] = {}
    for service in services:
        levels[service.name] = 1 + max((levels[name] for name in service.after), default=0)
    return [(service, levels[service.name]) for service in services]


def _section(title: str, **entries: str) -> str:
    return "\n".join([f"[{title}]", *(f"{name}={value}" for name, value in entries.items())])


def _value(value: Path | str) -> str:
    """Spell a value so that supervisord does not expand, cut or break it."""
    text = str(value)
    if "\n" in text or " ;" in text or " #" in text:
        message = f"supervisord cannot be given the path {text!r}"
        raise StackError(message, hint="move the project to a folder with a simpler name")
    return text.replace("%", "%%")


def launch(runtime: Path, environment: Mapping[str, str]) -> int:
    """Start supervisord in a session of its own and return its pid.

    A session of its own keeps a terminal's Ctrl-C and hang-up from reaching the services before
    they are stopped in order.
    """
    arguments = (sys.executable, "-m", "modelyard.stack.supervised", str(runtime / CONFIGURATION))
    process = subprocess.Popen(
        arguments,
        env=dict(environment),
        cwd=runtime,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _launched.append(process)
    deadline = time.monotonic() + START_SECONDS
    while not Supervisor(runtime).answers():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            message = "supervisord did not start"
            raise StackError(message, hint="its log is services/logs/supervisord.log")
        time.sleep(0.05)
    return process.pid


def reap() -> None:
    """Take note of each supervisord of this process that has ended, so that no zombie stays."""
    _launched[:] = [process for process in _launched if process.poll() is None]


class Supervisor:
    """A running supervisord, asked over its socket."""

    def __init__(self, runtime: Path) -> None:
        self._socket = runtime / SOCKET

    def answers(self) -> bool:
        """Whether supervisord is there."""
        try:
            self._call("getState")
        except StackError:
            return False
        return True

    def start(self, service: str) -> None:
        """Start a service; whether it stays up is seen by asking later."""
        self._call("startProcess", service, False)

    def states(self) -> dict[str, State]:
        """Ask about all services."""
        return {str(info["name"]): _state(info) for info in self._call("getAllProcessInfo")}

    def stop(self, service: str) -> None:
        """Ask a service to stop, without waiting for it; it may be stopped already."""
        with contextlib.suppress(StackError):
            self._call("stopProcess", service, False)

    def levels(self) -> list[list[str]]:
        """List the services by what they wait for, the first to start first."""
        levels: dict[int, list[str]] = {}
        for info in self._call("getAllConfigInfo"):
            levels.setdefault(int(str(info["process_prio"])), []).append(str(info["name"]))
        return [levels[level] for level in sorted(levels)]

    def shut_down(self) -> None:
        """End supervisord, and whatever it still runs."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> list[dict[str, object]]:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)  # type: ignore[no-any-return]
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            message = f"supervisord does not do {method}: {error}"
            raise StackError(message, hint="see make status") from error
        finally:
            transport.close()


def _state(info: Mapping[str, object]) -> State:
    number = {name: int(str(info[name])) for name in ("pid", "start", "exitstatus")}
    return State(
        name=str(info["name"]),
        state=str(info["statename"]),
        pid=number["pid"] or None,
        since=float(number["start"]),
        exit_code=number["exitstatus"],
        problem=str(info["spawnerr"] or info["description"]),
    )
