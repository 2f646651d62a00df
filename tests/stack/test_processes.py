from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from modelyard.stack import processes
from tests.stack.conftest import wait_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
QUIET = "import time; print(1, flush=True); time.sleep(60)"
ORPHAN = (
    "import subprocess, sys; "
    f"subprocess.Popen([sys.executable, '-c', {QUIET!r}], start_new_session=True, stdout=subprocess.DEVNULL)"
)

type Run = Callable[[str, str, str], subprocess.Popen[bytes]]


@pytest.fixture
def stack() -> str:
    return f"test-{os.getpid()}-{time.monotonic_ns()}"


@pytest.fixture
def run(stack: str) -> Iterator[Run]:
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, mark: str = stack, service: str = "web") -> subprocess.Popen[bytes]:
        marks = {processes.STACK: mark, processes.SERVICE: service}
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **marks}, stdout=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start  # type: ignore[misc]
    for process in started:
        process.kill()
        process.communicate()
    processes.end(processes.members(stack), 0)


def pids(stack: str, service: str | None = None) -> set[int]:
    return {process.pid for process in processes.members(stack, service)}


def test_a_stack_is_found_by_its_mark(run: Run, stack: str) -> None:
    process = run(QUIET)  # type: ignore[call-arg]
    assert pids(stack) == {process.pid}
    assert not pids("another stack")


def test_a_service_is_told_from_the_others(run: Run, stack: str) -> None:
    web, database = run(QUIET, stack, "web"), run(QUIET, stack, "database")
    assert pids(stack, "web") == {web.pid}
    assert pids(stack) == {web.pid, database.pid}


def test_an_orphan_in_a_session_of_its_own_is_found(run: Run, stack: str) -> None:
    parent = run(ORPHAN)  # type: ignore[call-arg]
    parent.wait()
    assert len(pids(stack)) == 1
    assert parent.pid not in pids(stack)


def test_the_caller_and_its_parents_are_spared(stack: str) -> None:
    code = (
        "import os; from modelyard.stack import processes; "
        "print([p.pid for p in processes.members(os.environ['MODELYARD_STACK'])])"
    )
    marked = {**os.environ, processes.STACK: stack}
    command = ["/bin/sh", "-c", f'"{sys.executable}" -c "{code}"; true']
    answer = subprocess.run(command, env=marked, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_what_does_not_heed_is_killed(run: Run, stack: str) -> None:
    process = run(STUBBORN)  # type: ignore[call-arg]
    assert process.stdout is not None
    process.stdout.readline()
    assert processes.end(processes.members(stack), 0.2) == 1
    wait_until(lambda: process.poll() is not None)
    assert not pids(stack)


def test_ending_nothing_is_no_error() -> None:
    assert processes.end([], 1) == 0


def test_a_process_that_ended_meanwhile_is_no_error(run: Run, stack: str) -> None:
    process = run(QUIET)  # type: ignore[call-arg]
    found = processes.members(stack)
    process.kill()
    process.wait()
    processes.end(found, 0.1)
    assert processes.memory(found) == 0
    assert processes.open_sockets(found) == set()


def test_memory_is_told_in_bytes(run: Run, stack: str) -> None:
    process = run(QUIET)  # type: ignore[call-arg]
    assert process.stdout is not None
    process.stdout.readline()
    assert processes.memory(processes.members(stack)) > 1_000_000
