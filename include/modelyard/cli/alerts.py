"""`modelyard alerts`: what is wrong with models, and taking note of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from pydantic import JsonValue
from rich.markup import escape
from typer.core import TyperGroup

from modelyard.cli.output import AsJson, out, print_json, print_table
from modelyard.errors import UsageError
from modelyard.settings import get_settings

if TYPE_CHECKING:
    from modelyard.store.database import Store
    from modelyard.store.monitoring_records import AlertEvent, AlertRecord

MOST: Final = 1_000
SHORT: Final = 8
COLOURS: Final = {"warning": "yellow", "critical": "red", "immediate": "bold red"}


class ListByDefault(TyperGroup):
    """Lists where no command is named, so that `modelyard alerts NAME` works."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before what is no command."""
        known = {*self.commands, *ctx.help_option_names}
        if not args or args[0] not in known:
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ListByDefault,
    rich_markup_mode="rich",
    help="List what is wrong with models, and take note of it.\n\n"
    "Examples: [bold]modelyard alerts[/], [bold]modelyard alerts digits-cnn --all[/]",
)
Identity = Annotated[
    str, typer.Argument(metavar="ID", help="The alert's id, or how it begins.", show_default=False)
]


@app.command("list")
def list_alerts(
    name: Annotated[
        str | None, typer.Argument(help="Only this model's.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that ended too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List open alerts, of one model or of all; `list` may be left out.

    Examples: [bold]modelyard alerts[/], [bold]modelyard alerts digits-cnn --all --json[/]
    """
    from modelyard.store.database import open_store

    with open_store(get_settings().database_url) as store:
        found = store.alerts(name, open_only=not every, limit=MOST)
    if as_json:
        print_json([alert.model_dump(mode="json") for alert in found])
    elif found:
        print_alerts(found)
    else:
        which = "no alert" if every else "no open alert"
        out.print(f"{which}{f' of {escape(name)}' if name else ''}")


@app.command()
def ack(
    identity: Identity,
    comment: Annotated[
        str | None, typer.Option(help="What is to be known of it.", show_default=False)
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Who. Default: the user.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take note of an alert: it is not delivered again, unless it gets worse.

    Example: [bold]modelyard alerts ack 3f2a9c1b --comment "the new camera"[/]
    """
    from getpass import getuser

    from modelyard.store.database import open_store

    with open_store(get_settings().database_url) as store:
        found = _find(store, identity)
        noted = store.acknowledge(found.id, by or getuser(), comment) or found
    if as_json:
        print_json(noted.model_dump(mode="json"))
    else:
        out.print(escape(f"{noted.id[:SHORT]} {about(noted)}: noted by {noted.acknowledged_by}"))


@app.command()
def show(identity: Identity, as_json: AsJson = False) -> None:
    """Show an alert and all that happened to it, deliveries included.

    Example: [bold]modelyard alerts show 3f2a9c1b[/]
    """
    from modelyard.store.database import open_store

    with open_store(get_settings().database_url) as store:
        found = _find(store, identity)
        events = store.alert_events(alert=found.id)
    if as_json:
        history: list[JsonValue] = [event.model_dump(mode="json") for event in events]
        print_json({**found.model_dump(mode="json"), "events": history})
        return
    out.print(f"[bold]{escape(about(found))}[/]  {_level(found)}, at its worst {found.worst}")
    out.print(escape(found.reason))
    ended = "open" if found.ended is None else f"ended {moment(found.ended)}: {found.ending}"
    out.print(escape(f"since {moment(found.onset)}, {ended}"))
    if found.report:
        out.print(f"report  {escape(str(get_settings().home / found.report))}")
    if found.acknowledged_by:
        said = f": {found.comment}" if found.comment else ""
        out.print(escape(f"noted by {found.acknowledged_by} {moment(found.acknowledged)}{said}"))
    rows = [(moment(one.at), one.change, one.level, escape(_delivery(one))) for one in events]
    print_table(["when", "what", "level", "delivered"], rows)


def print_alerts(alerts: Sequence[AlertRecord]) -> None:
    """Write a table of alerts."""
    rows = [
        (
            alert.id[:SHORT],
            escape(f"{alert.model} {alert.version}"),
            _level(alert),
            escape(what(alert)),
            alert.value,
            moment(alert.onset),
            _state(alert),
        )
        for alert in alerts
    ]
    columns = ["id", "model", "level", "what", "effect", "since", "state"]
    print_table(columns, rows)


def about(alert: AlertRecord) -> str:
    """Name an alert in a line."""
    return f"{alert.model} {alert.version}: {what(alert)}"


def what(alert: AlertRecord) -> str:
    """Say what is wrong with the model."""
    where = f" where {alert.segment}" if alert.segment else ""
    return f"{alert.kind} of {alert.subject}{where}"


def moment(at: datetime | None) -> str:
    """Write a moment, in UTC."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _level(alert: AlertRecord) -> str:
    return f"[{COLOURS[alert.level]}]{alert.level}[/]"


def _state(alert: AlertRecord) -> str:
    if alert.ended is not None:
        return f"ended {moment(alert.ended)}"
    return f"noted by {escape(alert.acknowledged_by)}" if alert.acknowledged_by else "open"


def _delivery(event: AlertEvent) -> str:
    if not event.deliver:
        return "-"
    if event.delivered is not None:
        return moment(event.delivered)
    return f"waits, tried {event.tries} times" + (f": {event.error}" if event.error else "")


def _find(store: Store, identity: str) -> AlertRecord:
    """Find the alert that an id, or its beginning, means."""
    exact = store.alert(identity)
    if exact is not None:
        return exact
    found = [one for one in store.alerts(limit=MOST) if identity and one.id.startswith(identity)]
    if len(found) == 1:
        return found[0]
    message = f"there is no alert {identity}" if not found else f"{identity} begins several alerts"
    raise UsageError(message, hint="see: modelyard alerts --all")
