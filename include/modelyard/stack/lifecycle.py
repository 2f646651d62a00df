"""Start the stack in order, wait for its health, and stop it without leaving anything behind."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modelyard.errors import StackError
from modelyard.settings import Settings
from modelyard.stack import environment, processes, state
from modelyard.stack.health import NOT_YET
from modelyard.stack.services import Service, log_file, services_folder
from modelyard.stack.supervisor import State, Supervisor, launch, reap, write_plan

POLL_SECONDS = 0.2
STOP_SECONDS = 60.0
GRACE_SECONDS = 5.0
LAST_LINES = 15


class Phase(StrEnum):
    """How far a service is."""

    WAITING = "waiting"
    STARTING = "starting"
    HEALTHY = "healthy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """A service came a step further."""

    service: Service
    phase: Phase
    seconds: float = 0.0
    """Since this service was started."""
    detail: str = ""


type Report = Callable[[Event], None]


@dataclass(slots=True)
class _Row:
    """Where one service stands while the stack starts."""

    service: Service
    phase: Phase = Phase.WAITING
    began: float = 0.0
    problem: str = ""
    answer: Future[str | None] | None = None

    @property
    def seconds(self) -> float:
        return time.time() - self.began

    def event(self) -> Event:
        seconds = self.seconds if self.began else 0.0
        return Event(self.service, self.phase, seconds, self.problem)


def start(
    settings: Settings,
    services: Sequence[Service],
    variables: Mapping[str, str],
    report: Report,
    on_launch: Callable[[int], None],
) -> None:
    """Start services under a new supervisord, each as soon as what it waits for is healthy.

    `on_launch` gets supervisord's pid before any service is started. Whatever goes wrong, an
    interruption included, everything is stopped again.

    Raises:
        StackError: a vital service did not become healthy; tells the last lines of its log.
    """
    runtime = state.make_runtime(settings)
    logs = services_folder(settings) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    write_plan(services, runtime, logs)
    try:
        on_launch(launch(runtime, variables))
        _start_all(settings, Supervisor(runtime), services, report)
    except BaseException:
        stop(settings)
        raise


def _start_all(
    settings: Settings, supervisor: Supervisor, services: Sequence[Service], report: Report
) -> None:
    starting = _Starting(supervisor, services)
    try:
        while not starting.done:
            for row in starting.step():
                report(row.event())
                if row.phase is Phase.FAILED and row.service.vital:
                    raise _failure(settings, row)
            time.sleep(POLL_SECONDS)
    finally:
        starting.close()


class _Starting:
    """Brings the services up, each when its time has come, and asks for their health meanwhile.

    A service that is busy starting may keep a question waiting for seconds, so each is asked in a
    thread of its own.
    """

    def __init__(self, supervisor: Supervisor, services: Sequence[Service]) -> None:
        self._supervisor = supervisor
        self._rows = {service.name: _Row(service) for service in services}
        self._threads = ThreadPoolExecutor(len(services), thread_name_prefix="health")

    def close(self) -> None:
        """Wait for no answer any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def done(self) -> bool:
        """Whether each service is either healthy or failed."""
        return all(row.phase in {Phase.HEALTHY, Phase.FAILED} for row in self._rows.values())

    def step(self) -> list[_Row]:
        """Bring each service as far as it can go now; return those that came further."""
        states = self._supervisor.states()
        before = {name: row.phase for name, row in self._rows.items()}
        for row in self._rows.values():
            if row.phase is Phase.WAITING:
                self._begin(row)
            elif row.phase is Phase.STARTING:
                self._look(row, states[row.service.name])
        return [row for name, row in self._rows.items() if row.phase is not before[name]]

    def _begin(self, row: _Row) -> None:
        needed = [self._rows[name].phase for name in row.service.after]
        if Phase.FAILED in needed:
            row.phase, row.problem = Phase.FAILED, "what it needs did not start"
        elif all(phase is Phase.HEALTHY for phase in needed):
            row.began = time.time()
            self._supervisor.start(row.service.name)
            row.phase = Phase.STARTING

    def _look(self, row: _Row, now: State) -> None:
        row.problem = self._problem(row, now)
        if not row.problem:
            row.phase = Phase.HEALTHY
        elif _hopeless(row, now):
            row.phase = Phase.FAILED

    def _problem(self, row: _Row, now: State) -> str:
        """Say what keeps a started service from being healthy; nothing if it is."""
        if now.gave_up:
            return now.problem or "it ended as soon as it was started"
        if row.service.check is None:
            if now.state == "EXITED":
                return f"it ended with exit code {now.exit_code}" if now.exit_code else ""
            return NOT_YET
        if row.answer is None:
            row.answer = self._threads.submit(row.service.check, row.began)
        if not row.answer.done():
            return row.problem or NOT_YET
        answer, row.answer = row.answer.result(), None
        return answer or ""


def _hopeless(row: _Row, now: State) -> bool:
    """Whether there is no point in waiting for a service any longer."""
    failed = row.service.once and now.state == "EXITED"
    late = row.seconds > row.service.start_seconds
    # What the stack can do without is tried again later; nobody need wait for it now.
    dispensable = not row.service.vital and row.problem != NOT_YET
    return now.gave_up or failed or late or dispensable


def _failure(settings: Settings, row: _Row) -> StackError:
    file = log_file(settings, row.service.name)
    lines = "\n".join(f"    {line}" for line in last_lines(file, LAST_LINES))
    message = (
        f"{row.service.title} did not become healthy in {row.seconds:.0f} s: {row.problem}\n"
        f"  the end of {file}:\n{lines}\n  all services are stopped again"
    )
    return StackError(message)


def last_lines(file: Path, count: int) -> list[str]:
    """Read the last lines of a log."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]


def stop(settings: Settings) -> bool:
    """Stop every process of the stack and remove what it left; return whether there was anything.

    First by supervisord, in order; then whatever carries the stack's mark, by pid.
    """
    stack = environment.stack_id(settings)
    found = state.leftovers(settings)
    supervisor = Supervisor(state.runtime_path(settings))
    if supervisor.answers():
        found = True
        _shut_down(supervisor, stack)
    found = bool(processes.end(processes.members(stack), GRACE_SECONDS)) or found
    reap()
    _keep_ray_logs(settings)
    state.forget(settings)
    return found


def _shut_down(supervisor: Supervisor, stack: str) -> None:
    """Stop the services in the reverse of their order, those of one level at once."""
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(StackError):  # supervisord died meanwhile; the rest is ended by pid
        for level in reversed(supervisor.levels()):
            for service in level:
                supervisor.stop(service)
            while not _all_stopped(supervisor, level) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        supervisor.shut_down()
    while _is_supervised(stack) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _all_stopped(supervisor: Supervisor, services: Sequence[str]) -> bool:
    states = supervisor.states()
    return all(states[service].stopped for service in services)


def _is_supervised(stack: str) -> bool:
    """Whether supervisord itself, the one process that is of no service, is still there."""
    return any(processes.service_of(process) is None for process in processes.members(stack))


def _keep_ray_logs(settings: Settings) -> None:
    """Save the logs of Ray's workers, whose folder goes with the stack."""
    logs = state.runtime_path(settings) / "ray" / "session_latest" / "logs"
    if logs.is_dir():
        kept = services_folder(settings) / "logs" / "ray"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(logs, kept, dirs_exist_ok=True, ignore_dangling_symlinks=True)
