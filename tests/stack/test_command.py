"""The commands in a process of their own, ended as users end them; small services, for speed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from modelyard.settings import Settings
from modelyard.stack import environment, processes, state
from modelyard.stack.ports import Ports, is_free
from tests.stack.conftest import wait_until

PROGRAM = """
import sys
import typer
from modelyard.cli import stack as commands
from modelyard.errors import ModelyardError
from modelyard.stack import demo, stack
from modelyard.stack.airflow_api import AirflowApi
from tests.stack.conftest import web

stack.all_services = lambda settings, ports, keys, runtime: (
    web("one", ports.mlflow),
    web("two", ports.airflow, after=("one",)),
)
AirflowApi.set_pool = lambda *_: None


def run_demo(settings, running, spec, out):
    out.print("demo runs")
    if spec == "broken":
        raise ModelyardError("the demo failed")
    if spec == "talking":
        while True:
            out.print("...")
    if spec == "endless":
        __import__("time").sleep(600)


demo.run_demo = run_demo
app = typer.Typer(pretty_exceptions_enable=False)
commands.register(app)
try:
    app()
except ModelyardError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

type Call = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def call(settings: Settings, ports: Ports) -> Iterator[Call]:
    named = {f"MODELYARD_PORT_{name.upper()}": str(n) for name, n in ports.model_dump().items()}
    places = {"MODELYARD_PROJECT": str(settings.project), "MODELYARD_HOME": str(settings.home)}
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**os.environ, **named, **places, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"no line with {text!r} in:\n{''.join(lines)}")


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = process.communicate(timeout=60)
    return process.returncode, text


def assert_nothing_left(settings: Settings, ports: Ports) -> None:
    assert processes.members(environment.stack_id(settings)) == []
    assert not state.leftovers(settings)
    assert is_free(ports.mlflow)
    assert is_free(ports.airflow)


def test_up_stays_up_until_down(call: Call, settings: Settings, ports: Ports) -> None:
    code, text = finish(call("up"))
    assert code == 0
    assert f"http://127.0.0.1:{ports.airflow}" in text
    assert not is_free(ports.mlflow)
    code, text = finish(call("down"))
    assert (code, "nothing is left running" in text) == (0, True)
    assert_nothing_left(settings, ports)


def test_a_second_up_says_that_it_runs(call: Call) -> None:
    finish(call("up"))
    code, text = finish(call("up"))
    assert (code, "runs already" in text) == (0, True)


def test_status_shows_addresses_in_full(call: Call, ports: Ports) -> None:
    finish(call("up"))
    code, text = finish(call("status"))
    assert code == 0
    assert f"http://127.0.0.1:{ports.mlflow}/" in text
    assert "healthy" in text


def test_a_taken_port_is_refused_before_anything_starts(
    call: Call, settings: Settings, ports: Ports
) -> None:
    holder = [sys.executable, "-m", "http.server", str(ports.airflow), "--bind", "127.0.0.1"]
    with subprocess.Popen(holder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        wait_until(lambda: not is_free(ports.airflow))
        code, text = finish(call("up"))
        assert code == 1
        assert f"port {ports.airflow} for airflow is taken by pid {other.pid}" in text
        other.terminate()
    assert_nothing_left(settings, ports)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_foreground_stops_cleanly_at(
    call: Call, settings: Settings, ports: Ports, number: signal.Signals
) -> None:
    process = call("up", "--foreground")
    read_until(process, "Ctrl-C stops it")
    process.send_signal(number)
    assert finish(process)[0] == 0
    assert_nothing_left(settings, ports)


def test_down_ends_the_foreground_command_too(call: Call, settings: Settings, ports: Ports) -> None:
    process = call("up", "--foreground")
    read_until(process, "Ctrl-C stops it")
    assert finish(call("down"))[0] == 0
    assert finish(process)[0] == 0
    assert_nothing_left(settings, ports)


def test_a_terminal_that_is_gone_does_not_keep_it_from_stopping(
    call: Call, settings: Settings, ports: Ports
) -> None:
    process = call("up", "--foreground")
    read_until(process, "Ctrl-C stops it")
    assert process.stdout is not None
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    process.wait(60)
    assert_nothing_left(settings, ports)


def test_an_interruption_while_starting_leaves_nothing(
    call: Call, settings: Settings, ports: Ports
) -> None:
    process = call("up")
    wait_until(lambda: processes.members(environment.stack_id(settings)))
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] in {0, 128 + signal.SIGINT}  # 0 if it was faster than the signal
    finish(call("down"))
    assert_nothing_left(settings, ports)


def test_the_demo_stops_the_stack_at_its_end(call: Call, settings: Settings, ports: Ports) -> None:
    code, text = finish(call("demo"))
    assert (code, "demo runs" in text) == (0, True)
    assert_nothing_left(settings, ports)


def test_the_demo_leaves_the_stack_if_asked(call: Call, ports: Ports) -> None:
    assert finish(call("demo", "--keep"))[0] == 0
    assert not is_free(ports.mlflow)


def test_the_demo_leaves_a_stack_that_was_there_before(call: Call, ports: Ports) -> None:
    finish(call("up"))
    assert finish(call("demo"))[0] == 0
    assert not is_free(ports.mlflow)


def test_a_demo_that_fails_stops_the_stack(call: Call, settings: Settings, ports: Ports) -> None:
    code, text = finish(call("demo", "--spec", "broken"))
    assert code == 1
    assert "the demo failed" in text
    assert_nothing_left(settings, ports)


def test_ctrl_c_in_the_demo_stops_the_stack(call: Call, settings: Settings, ports: Ports) -> None:
    process = call("demo", "--spec", "endless")
    read_until(process, "demo runs")
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 128 + signal.SIGINT
    assert_nothing_left(settings, ports)


def test_a_demo_whose_reader_is_gone_stops_the_stack(
    call: Call, settings: Settings, ports: Ports
) -> None:
    process = call("demo", "--spec", "talking")
    read_until(process, "demo runs")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(60)
    assert_nothing_left(settings, ports)
