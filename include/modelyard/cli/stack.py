"""`modelyard up`, `down`, `status`, `logs` and `demo`: the local services."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from modelyard.cli.output import AsJson, err, out, print_json
from modelyard.settings import Settings, get_settings
from modelyard.stack import stack
from modelyard.stack.environment import endpoint_url
from modelyard.stack.keys import ADMIN
from modelyard.stack.lifecycle import last_lines
from modelyard.stack.ports import read_ports
from modelyard.stack.progress import shown
from modelyard.stack.signals import Interrupted, interruptible

FOLLOW_SECONDS = 0.3
WATCH_SECONDS = 2.0
MEBIBYTE = 1024 * 1024
TABLE_WIDTH = 120

FreePorts = Annotated[
    bool, typer.Option("--free-ports", help="Take any free ports instead of the usual ones.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)
    app.command("logs")(logs)
    app.command("demo")(demo)


def up(
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and stop the services at Ctrl-C.")
    ] = False,
    free_ports: FreePorts = False,
) -> None:
    """Start Airflow, MLflow, Ray and Ray Serve, and wait until they are healthy.

    Ports: MODELYARD_PORT_AIRFLOW, _MLFLOW, _RAY_DASHBOARD, _RAY, _ENDPOINT; 0 is any free one.
    """
    settings = get_settings()
    if not foreground:
        with _stopped_if_ended(settings, errors=False):
            running = _start(settings, free_ports)
        if running.began_now:
            out.print("stop it with: make down")
        return
    try:
        with _stopped_if_ended(settings):
            _start(settings, free_ports)
            _stay(settings)
    except typer.Exit:  # Ctrl-C is how this one is meant to end
        return


@contextlib.contextmanager
def _stopped_if_ended(
    settings: Settings, *, errors: bool = True, stop: bool = True
) -> Iterator[None]:
    """Stop the stack if a signal ends what is done here, or with `errors` anything else does.

    A terminal that is gone counts: what prints then ends the process.
    """
    try:
        with interruptible():
            yield
    except BaseException as error:
        interrupted = isinstance(error, Interrupted)
        if stop and (interrupted or errors):
            _stop(settings)
        if isinstance(error, Interrupted):
            raise typer.Exit(error.exit_code) from error
        raise


def _start(settings: Settings, free_ports: bool) -> stack.Running:
    with shown(err) as report:
        running = stack.up(settings, read_ports(any_free=free_ports), report)
    if not running.began_now:
        out.print("the stack runs already; see: make status")
    print_places(running)
    return running


def print_places(running: stack.Running) -> None:
    """Say where everything is to be seen."""
    ports = running.ports
    for title, url in (
        ("Airflow", ports.url("airflow")),
        ("MLflow", ports.url("mlflow")),
        ("Ray", ports.url("ray_dashboard")),
        ("predictions", endpoint_url(get_settings(), ports)),
    ):
        out.print(f"{title + ':':<13}{url}", markup=False)
    keys = running.keys
    out.print(f"Ray asks for the token in {keys.ray_token_file}", markup=False)
    if keys.fresh:
        out.print(f"Airflow user {ADMIN}, password {keys.password}", markup=False)
        out.print(f"(shown this once; kept in {keys.password_file})", markup=False)
    else:
        out.print(f"Airflow user {ADMIN}, password in {keys.password_file}", markup=False)


def _stay(settings: Settings) -> None:
    out.print("running; Ctrl-C stops it")
    while stack.running(settings) is not None:
        time.sleep(WATCH_SECONDS)


def _stop(settings: Settings) -> bool:
    """Stop without fail, also when the terminal is gone and nothing can be printed."""
    _say("stopping ...")
    stopped = stack.down(settings)
    _say("stopped; nothing is left running" if stopped else "nothing was running")
    return stopped


def _say(text: str) -> None:
    with contextlib.suppress(OSError, SystemExit):  # rich ends the process at a broken pipe
        err.print(text)


def down() -> None:
    """Stop the services, and whatever they left behind. Does nothing if nothing runs."""
    with contextlib.suppress(Interrupted), interruptible():
        _stop(get_settings())


def status(as_json: AsJson = False) -> None:
    """Show each service: its state, health, address, age and memory."""
    rows = stack.status(get_settings())
    if as_json:
        services: list[JsonValue] = [row.model_dump(mode="json") for row in rows]
        healthy = bool(rows) and all(row.healthy for row in rows)
        print_json({"running": bool(rows), "healthy": healthy, "services": services})
        return
    if not rows:
        out.print("nothing runs; start it with: make up")
        return
    # The addresses are to be copied, so a narrow terminal may break lines but not cut them.
    Console(width=max(out.width, TABLE_WIDTH), highlight=False).print(_table(rows))


def _table(rows: Iterable[stack.ServiceStatus]) -> Table:
    table = Table(header_style="bold")
    for column in ("service", "health", "pid", "uptime", "processes", "MiB", "address"):
        number = column in {"pid", "uptime", "processes", "MiB"}
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        uptime = "-" if row.uptime is None else str(timedelta(seconds=int(row.uptime)))
        health = "[green]healthy[/]" if row.healthy else _plain(f"{row.state}: {row.problem}")
        numbers = (row.pid or "-", uptime, row.processes, row.memory // MEBIBYTE)
        table.add_row(row.service, health, *map(str, numbers), row.url or "")
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def logs(
    service: Annotated[
        str | None, typer.Argument(help="A service, or part of its name. Default: all.")
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Lines of each log.")] = 20,
) -> None:
    """Show the services' logs."""
    files = stack.log_files(get_settings(), service)
    positions: dict[str, int] = {}
    for name, file in files.items():
        positions[name] = file.stat().st_size
        _print_lines(name, last_lines(file, lines), alone=len(files) == 1)
    with contextlib.suppress(KeyboardInterrupt):
        while follow:
            time.sleep(FOLLOW_SECONDS)
            for name, file in files.items():
                positions[name] = _follow(name, file, positions[name], alone=len(files) == 1)


def _follow(name: str, file: Path, position: int, *, alone: bool) -> int:
    """Print the whole lines that came since; begin anew after the log was rotated."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
        if file.stat().st_size < position:
            position = 0
        stream.seek(position)
        text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        _print_lines(name, whole.decode(errors="replace").splitlines(), alone=alone)
        return position + len(whole)
    return 0


def _print_lines(name: str, lines: list[str], *, alone: bool) -> None:
    head = "" if alone else f"{name}: "
    for line in lines:
        sys.stdout.write(f"{head}{line}\n")
    sys.stdout.flush()


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end.")
    ] = False,
    free_ports: FreePorts = False,
    spec: Annotated[str, typer.Option(help="The spec to train.")] = "digits-cnn",
) -> None:
    """Train a model through Airflow, serve it, send it real data and look for drift."""
    from modelyard.stack.demo import run_demo

    settings = get_settings()
    was_up = stack.running(settings) is not None
    with _stopped_if_ended(settings, errors=not keep, stop=not was_up):
        running = _start(settings, free_ports)
        run_demo(settings, running, spec, out)
    if was_up or keep:
        out.print("left running; stop it with: make down")
    else:
        _stop(settings)
