from __future__ import annotations

import io

from rich.console import Console

from modelyard.stack.airflow_api import Progress, RunState, Task
from modelyard.stack.dag_progress import following
from modelyard.stack.lifecycle import Event, Phase
from modelyard.stack.progress import shown
from tests.stack.conftest import web

EVENTS = [
    Event(web("one", 1, title="One [1]"), Phase.STARTING),
    Event(web("one", 1, title="One [1]"), Phase.HEALTHY, 1.25),
    Event(web("two", 2, title="Two"), Phase.FAILED, 3.0, "no room"),
]


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


def text(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def tasks(*states: str | None) -> Progress:
    rows = [Task(task_id=f"task{n}", state=state, try_number=n) for n, state in enumerate(states)]
    return Progress(RunState.RUNNING, tuple(rows))


def test_a_start_is_told_in_plain_lines_where_there_is_no_terminal() -> None:
    target = console(terminal=False)
    with shown(target) as report:
        for event in EVENTS:
            report(event)
    assert text(target).splitlines() == [
        "One [1]: healthy after 1.2 s",
        "Two: failed after 3.0 s: no room",
    ]


def test_a_start_is_a_table_on_a_terminal() -> None:
    target = console(terminal=True)
    with shown(target) as report:
        for event in EVENTS:
            report(event)
    assert "One [1]" in text(target)
    assert "no room" in text(target)


def test_a_run_is_told_once_a_change_where_there_is_no_terminal() -> None:
    target = console(terminal=False)
    with following(target) as show:
        show(tasks("running", None))
        show(tasks("running", "queued"))
        show(tasks("success", "running"))
    lines = [line.split("s  ", 1)[1] for line in text(target).splitlines()]
    assert lines == ["task0: running", "task0: success", "task1: running"]


def test_a_second_try_is_told() -> None:
    target = console(terminal=False)
    with following(target) as show:
        show(tasks(None, None, "running"))
    assert "task2 (try 2): running" in text(target)


def test_a_run_is_a_table_on_a_terminal() -> None:
    target = console(terminal=True)
    with following(target) as show:
        show(tasks("success", "running", None))
    assert "task1" in text(target)
    assert "waiting" in text(target)
