"""Start, restart and stop with real processes under a real supervisord; small ones, for speed."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from modelyard.errors import StackError
from modelyard.settings import Settings
from modelyard.stack import environment, lifecycle, processes, state
from modelyard.stack.health import FileCheck
from modelyard.stack.lifecycle import Event, Phase
from modelyard.stack.ports import HOST, Ports, is_free
from modelyard.stack.services import Service
from modelyard.stack.supervisor import Supervisor
from tests.stack.conftest import begin, wait_until, web

FORKING = (
    "import subprocess, sys, time; "
    "subprocess.Popen([sys.executable, '-m', 'http.server', sys.argv[1], '--bind', '127.0.0.1'], "
    "start_new_session=True); time.sleep(600)"
)


def members(settings: Settings, service: str | None = None) -> list[psutil.Process]:
    return processes.members(environment.stack_id(settings), service)


def once(name: str, code: str, after: tuple[str, ...] = ()) -> Service:
    return Service(name=name, title=name, command=(sys.executable, "-c", code), after=after)


def supervisor(settings: Settings) -> Supervisor:
    return Supervisor(state.runtime_path(settings))


def test_services_start_when_what_they_wait_for_is_healthy(
    settings: Settings, ports: Ports
) -> None:
    events: list[Event] = []
    services = [
        once("migrate", "pass"),
        web("first", ports.mlflow, after=("migrate",)),
        web("second", ports.airflow, after=("first",)),
    ]
    begin(settings, services, ports, events)
    assert [(event.service.name, str(event.phase)) for event in events] == [
        (name, phase)
        for name in ("migrate", "first", "second")
        for phase in ("starting", "healthy")
    ]


def test_what_waits_for_nothing_starts_at_once(settings: Settings, ports: Ports) -> None:
    events: list[Event] = []
    begin(settings, [web("one", ports.mlflow), web("two", ports.airflow)], ports, events)
    assert [event.phase for event in events[:2]] == [Phase.STARTING, Phase.STARTING]


def test_a_killed_service_is_started_again(settings: Settings, ports: Ports) -> None:
    begin(settings, [web("web", ports.mlflow)], ports, [])
    first = supervisor(settings).states()["web"].pid
    assert first is not None
    psutil.Process(first).kill()

    def again() -> bool:
        pid = supervisor(settings).states()["web"].pid
        return pid not in {None, first} and not is_free(ports.mlflow)

    wait_until(again)
    assert httpx.get(f"http://{HOST}:{ports.mlflow}/").status_code == 200


def test_a_child_that_holds_the_port_is_ended_before_the_restart(
    settings: Settings, ports: Ports
) -> None:
    """MLflow's server is such a child: it lives on when its parent is killed."""
    command = (sys.executable, "-c", FORKING, str(ports.mlflow))
    begin(settings, [web("web", ports.mlflow, command=command)], ports, [])
    before = {process.pid for process in members(settings, "web")}
    assert len(before) == 2
    parent = supervisor(settings).states()["web"].pid
    assert parent is not None
    psutil.Process(parent).kill()
    wait_until(lambda: len({p.pid for p in members(settings, "web")} - before) == 2)
    wait_until(lambda: not is_free(ports.mlflow))
    assert not before & {process.pid for process in members(settings, "web")}


def test_stopping_leaves_no_process_port_or_file(settings: Settings, ports: Ports) -> None:
    begin(settings, [web("web", ports.mlflow)], ports, [])
    assert lifecycle.stop(settings)
    assert not members(settings)
    assert is_free(ports.mlflow)
    assert not state.leftovers(settings)


def test_stopping_twice_finds_nothing_the_second_time(settings: Settings, ports: Ports) -> None:
    begin(settings, [web("web", ports.mlflow)], ports, [])
    assert lifecycle.stop(settings)
    assert not lifecycle.stop(settings)


def test_what_waits_for_others_is_stopped_before_them(settings: Settings, ports: Ports) -> None:
    note = "import atexit, signal, sys, time; signal.signal(15, lambda *_: sys.exit()); atexit.register(lambda: open(sys.argv[1], 'a').write(sys.argv[2])); open(sys.argv[3], 'w').write('{\"problem\": null}'); time.sleep(600)"
    order = settings.home / "order"

    def service(name: str, after: tuple[str, ...] = ()) -> Service:
        ready = settings.home / f"{name}.json"
        return Service(
            name=name,
            title=name,
            command=(sys.executable, "-c", note, str(order), name, str(ready)),
            check=FileCheck(ready),
            after=after,
        )

    settings.home.mkdir()
    begin(settings, [service("a"), service("b", ("a",)), service("c", ("b",))], ports, [])
    lifecycle.stop(settings)
    assert order.read_text() == "cba"


def test_a_service_that_ignores_the_signal_is_killed(settings: Settings, ports: Ports) -> None:
    code = f"import signal, http.server; signal.signal(15, signal.SIG_IGN); http.server.test(http.server.SimpleHTTPRequestHandler, port={ports.mlflow}, bind='{HOST}')"
    command = (sys.executable, "-c", code)
    begin(settings, [web("web", ports.mlflow, command=command, stop_seconds=1)], ports, [])
    lifecycle.stop(settings)
    assert not members(settings)


def test_services_end_when_their_supervisor_is_killed(settings: Settings, ports: Ports) -> None:
    begin(settings, [web("web", ports.mlflow)], ports, [])
    [boss] = [p for p in members(settings) if processes.service_of(p) is None]
    boss.kill()
    wait_until(lambda: is_free(ports.mlflow))
    assert lifecycle.stop(settings)
    assert not state.leftovers(settings)


def test_what_a_power_cut_left_is_cleaned_up(settings: Settings, ports: Ports) -> None:
    runtime = state.make_runtime(settings)
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(runtime / "supervisor.sock"))
    (runtime / "supervisord.pid").write_text(str(os.getpid()))
    recorded = state.record(settings, os.getpid(), ports)
    file = settings.home / "services" / "stack.json"
    file.write_text(recorded.model_copy(update={"created": 1.0}).model_dump_json())
    assert lifecycle.stop(settings)
    assert not state.leftovers(settings)
    assert psutil.pid_exists(os.getpid())


def test_a_service_that_never_gets_healthy_is_told_with_the_end_of_its_log(
    settings: Settings, ports: Ports
) -> None:
    command = (sys.executable, "-c", "import time; print('the disk is full'); time.sleep(600)")
    services = [
        web("good", ports.airflow),
        web("bad", ports.mlflow, command=command, start_seconds=1.5),
    ]
    with pytest.raises(StackError) as refused:
        begin(settings, services, ports, [])
    text = str(refused.value)
    assert "bad did not become healthy" in text
    assert "the disk is full" in text
    assert str(settings.home / "services" / "logs" / "bad.log") in text
    assert not members(settings)


def test_a_service_that_ends_at_once_is_not_waited_for_long(
    settings: Settings, ports: Ports
) -> None:
    events: list[Event] = []
    with pytest.raises(StackError, match="it ended with exit code 3"):
        begin(settings, [once("migrate", "raise SystemExit(3)")], ports, events)
    assert events[-1].phase is Phase.FAILED


def test_what_the_stack_can_do_without_does_not_stop_it(settings: Settings, ports: Ports) -> None:
    events: list[Event] = []
    settings.home.mkdir()
    ready = settings.home / "ready.json"
    code = f"import time; open({str(ready)!r}, 'w').write('{{\"problem\": \"no room\"}}'); time.sleep(600)"
    extra = Service(
        name="extra",
        title="extra",
        command=(sys.executable, "-c", code),
        check=FileCheck(ready),
        vital=False,
    )
    begin(settings, [web("web", ports.mlflow), extra], ports, events)
    assert (Phase.FAILED, "no room") in {(event.phase, event.detail) for event in events}
    assert supervisor(settings).answers()


def test_an_interruption_while_starting_stops_everything(settings: Settings, ports: Ports) -> None:
    def interrupt(event: Event) -> None:
        if event.phase is Phase.HEALTHY:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lifecycle.start(
            settings,
            [web("one", ports.mlflow), web("two", ports.airflow, after=("one",))],
            environment.shared(settings, ports),
            interrupt,
            lambda _pid: None,
        )
    assert not members(settings)
    assert not state.leftovers(settings)


def test_the_terminals_signals_do_not_reach_the_services(settings: Settings, ports: Ports) -> None:
    begin(settings, [web("web", ports.mlflow)], ports, [])
    assert os.getsid(0) not in {os.getsid(process.pid) for process in members(settings)}


def test_files_that_services_make_are_for_their_owner_only(
    settings: Settings, ports: Ports
) -> None:
    settings.home.mkdir()
    file = settings.home / "made"
    begin(settings, [once("touch", f"open({str(file)!r}, 'w')")], ports, [])
    assert file.stat().st_mode & 0o077 == 0


def test_rays_logs_outlive_its_session(settings: Settings) -> None:
    session = state.make_runtime(settings) / "ray" / "session_1" / "logs"
    session.mkdir(parents=True)
    (session / "worker-1.err").write_text("boom")
    (session.parent.parent / "session_latest").symlink_to(session.parent)
    lifecycle.stop(settings)
    kept = settings.home / "services" / "logs" / "ray" / "worker-1.err"
    assert kept.read_text() == "boom"


def test_the_end_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert lifecycle.last_lines(tmp_path / "none.log", 5) == []


def test_an_orphan_of_a_service_is_reaped_and_ended(settings: Settings, ports: Ports) -> None:
    command = (sys.executable, "-c", FORKING, str(ports.mlflow))
    begin(settings, [web("web", ports.mlflow, command=command)], ports, [])
    pids = [process.pid for process in members(settings)]
    began = time.monotonic()
    lifecycle.stop(settings)
    assert time.monotonic() - began < 30
    left = [psutil.Process(pid).status() for pid in pids if psutil.pid_exists(pid)]
    assert set(left) <= {psutil.STATUS_ZOMBIE}


def test_a_signal_to_the_supervisor_itself_stops_all(settings: Settings, ports: Ports) -> None:
    begin(settings, [web("web", ports.mlflow)], ports, [])
    [boss] = [p for p in members(settings) if processes.service_of(p) is None]
    boss.send_signal(signal.SIGTERM)
    wait_until(lambda: not members(settings))
