"""How a DAG run is shown while it goes: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from modelyard.stack.airflow_api import Progress, Task

STYLES: Final = {
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "running": "yellow",
    "up_for_retry": "magenta",
}
MOVING: Final = frozenset({"running", "queued", "scheduled"})


@contextlib.contextmanager
def following(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Show each state that a DAG run is in."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    table = _LiveTable()
    with Live(table, console=console, refresh_per_second=8):
        yield table.note


class _Lines:
    """Prints a line for each task whose state changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: dict[tuple[str, int], str] = {}
        self._began = time.monotonic()

    def show(self, progress: Progress) -> None:
        for task in progress.tasks:
            state = task.state or "waiting"
            key = (task.task_id, task.map_index)
            if self._before.get(key) != state and state not in {"waiting", "scheduled", "queued"}:
                elapsed = time.monotonic() - self._began
                self._console.print(f"{elapsed:6.1f} s  {_name(task)}: {state}", markup=False)
            self._before[key] = state


class _LiveTable:
    """All tasks, with what each does and how long."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._spinner = Spinner("dots")

    def note(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for task in self._progress.tasks if self._progress else ():
            state = task.state or "waiting"
            seconds = "" if task.duration is None else f"{task.duration:6.1f} s"
            table.add_row(
                self._spinner if state in MOVING else Text(" "),
                Text(_name(task)),
                Text(state, style=STYLES.get(state, "dim")),
                Text(seconds),
            )
        return table


def _name(task: Task) -> str:
    tries = f" (try {task.try_number})" if task.try_number > 1 else ""
    index = "" if task.map_index < 0 else f"[{task.map_index}]"
    return f"{task.task_id}{index}{tries}"
