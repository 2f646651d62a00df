"""How the stack's start is shown: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from modelyard.stack.lifecycle import Event, Phase, Report

STYLES: Final = {
    Phase.WAITING: "dim",
    Phase.STARTING: "yellow",
    Phase.HEALTHY: "green",
    Phase.FAILED: "bold red",
}


@contextlib.contextmanager
def shown(console: Console) -> Iterator[Report]:
    """Show each event that the start of the stack reports."""
    if not console.is_terminal:
        yield lambda event: _line(console, event)
        return
    table = _LiveTable()
    with Live(table, console=console, refresh_per_second=8, transient=False):
        yield table.note


def _line(console: Console, event: Event) -> None:
    if event.phase is Phase.STARTING:
        return
    seconds = f" after {event.seconds:.1f} s" if event.seconds else ""
    detail = f": {event.detail}" if event.detail else ""
    console.print(f"{event.service.title}: {event.phase}{seconds}{detail}", markup=False)


class _LiveTable:
    """The services that have begun, and how far each is."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[Event, float]] = {}
        self._spinner = Spinner("dots")

    def note(self, event: Event) -> None:
        self._events[event.service.name] = (event, time.monotonic())

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for event, noted in list(self._events.values()):
            moving = event.phase is Phase.STARTING
            seconds = event.seconds + (time.monotonic() - noted if moving else 0)
            table.add_row(
                self._spinner if moving else Text(" "),
                Text(event.service.title),
                Text(str(event.phase), style=STYLES[event.phase]),
                Text(f"{seconds:5.1f} s"),
                Text(event.detail if event.phase is Phase.FAILED else (event.service.url or "")),
            )
        return table
