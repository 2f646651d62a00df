"""`modelyard watch`: look at served models, as the monitoring DAG does each hour."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import JsonValue
from rich.markup import escape

from modelyard.cli.alerts import print_alerts
from modelyard.cli.output import AsJson, err, out, print_json, print_table
from modelyard.errors import ModelyardError, UsageError
from modelyard.settings import Settings, get_settings
from modelyard.spec.monitor import LEVELS

if TYPE_CHECKING:
    from modelyard.monitoring.check import DriftReport, Window
    from modelyard.store.monitoring_records import PerformanceCheck
    from modelyard.watch import Watched

FOUND: Final = 1
MOST_NAMED: Final = 3


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("watch")(watch)


def watch(  # noqa: PLR0913, PLR0917 - one parameter an option
    name: Annotated[
        str | None, typer.Argument(help="The model's name.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every model that is served.")] = False,
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="The last so many predictions, all, or a time span such as 24h; may be given again. Default: the windows of the spec."
        ),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            help="Only this version. Default: all that answer requests.", show_default=False
        ),
    ] = None,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Send what waits to MODELYARD_NOTIFY.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            help="Exit with 1 if an alert of this level or worse is open: warning, critical, immediate.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the inputs, outputs and performance of served models, and open or end alerts.

    Examples: [bold]modelyard watch digits-cnn[/], [bold]modelyard watch --all --deliver --fail-on critical[/]
    """
    from modelyard.cli.drift import parse_window

    windows = [parse_window(text) for text in window] if window else None
    least = _rank_of(fail_on)
    settings = get_settings()
    names = _names(settings, name, every)
    found, refused = _look(settings, names, windows, version)
    if as_json:
        print_json([_document(one) for one in found])
    else:
        for one in found:
            _show(one)
    if deliver:
        _deliver(settings)
    if refused or (least and any(_worst(one) >= least for one in found)):
        raise typer.Exit(FOUND)


def _names(settings: Settings, name: str | None, every: bool) -> list[str]:
    from modelyard.watch import watched_models

    if (name is None) != every:
        message = "name one model, or say --all"
        raise UsageError(message, hint="modelyard watch digits-cnn, or modelyard watch --all")
    names = [name] if name is not None else watched_models(settings)
    if not names:
        err.print("no model is served; train and deploy one: modelyard run SPEC")
    return names


def _look(
    settings: Settings, names: Sequence[str], windows: Sequence[Window] | None, version: int | None
) -> tuple[list[Watched], int]:
    """Look at each model; one that cannot be looked at keeps no other from it."""
    from modelyard.watch import watch_model

    found, refused = [], 0
    for name in names:
        try:
            found.append(
                watch_model(settings, name, windows=windows, version=version, say=_progress)
            )
        except ModelyardError as error:
            if len(names) == 1:
                raise
            refused += 1
            err.print(f"[bold red]modelyard:[/] {escape(str(error))}")
    return found, refused


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        err.print(f"[dim]{escape(text)}[/]")


def _show(found: Watched) -> None:
    rows = [*_drift_rows(found.reports), *_performance_rows(found.performance)]
    if rows:
        columns = ["version", "window", "where", "rows", "what", "found"]
        print_table(columns, rows, title=escape(found.model))
    for text in found.skipped:
        out.print(escape(f"{found.model} not judged: {text}"))
    changes = [event.change for event in found.events]
    told = ", ".join(f"{changes.count(one)} {one}" for one in dict.fromkeys(changes))
    out.print(
        escape(f"{found.model}: {len(found.alerts)} open alerts" + (f"; {told}" if told else ""))
    )
    if found.alerts:
        print_alerts(found.alerts)
    if found.retrain is not None:
        out.print(escape(f"{found.model}: alert {found.retrain.id[:8]} asks for a retraining"))


def _drift_rows(reports: Sequence[DriftReport]) -> Iterator[tuple[object, ...]]:
    for check in (report.check for report in reports):
        drifted = [verdict for verdict in check.verdicts if verdict.drifted]
        named = ", ".join(f"{one.column} {one.effect:.2f}" for one in drifted[:MOST_NAMED])
        more = f" and {len(drifted) - MOST_NAMED} more" if len(drifted) > MOST_NAMED else ""
        text = f"drift: {named}{more}" if drifted else "no drift"
        place = (check.version, check.window, escape(check.segment or "all rows"), check.rows)
        yield (*place, f"{len(check.verdicts)} columns", escape(text))


def _performance_rows(checks: Sequence[PerformanceCheck]) -> Iterator[tuple[object, ...]]:
    for check in checks:
        for metric in check.metrics:
            if not metric.watched:
                continue
            name = f"{metric.output}.{metric.metric}{', estimated' if metric.estimated else ''}"
            change = metric.degradation
            how = (
                ""
                if change is None
                else f", {abs(change):.1%} {'worse' if change > 0 else 'better'}"
            )
            text = f"{metric.value:.4g}{how}" + (f": {metric.level}" if metric.level else "")
            place = (check.version, check.window, escape(check.segment or "all rows"), metric.rows)
            yield (*place, escape(name), text)


def _document(found: Watched) -> dict[str, JsonValue]:
    return {
        "model": found.model,
        "reports": [one.model_dump(mode="json") for one in found.reports],
        "performance": [one.model_dump(mode="json") for one in found.performance],
        "events": [one.model_dump(mode="json") for one in found.events],
        "alerts": [one.model_dump(mode="json") for one in found.alerts],
        "retrain": None if found.retrain is None else found.retrain.id,
        "skipped": [*found.skipped],
    }


def _deliver(settings: Settings) -> None:
    """Send what waits, and say on standard error what came of it."""
    from modelyard.delivery import deliver
    from modelyard.store.database import open_store

    if not settings.notify:
        err.print("nothing is delivered: MODELYARD_NOTIFY names no address; see docs/alerts.md")
        return
    sent = deliver(settings)
    with open_store(settings.database_url) as store:
        waiting = store.alert_events(waiting=True)
    err.print(f"{len(sent)} events delivered, {len(waiting)} wait")
    for error in dict.fromkeys(event.error for event in waiting if event.error):
        err.print(escape(error))


def _rank_of(level: str | None) -> int:
    if level is None:
        return 0
    if level not in LEVELS:
        message = f"--fail-on {level} is no level"
        raise UsageError(message, hint=f"one of {', '.join(LEVELS)}")
    return LEVELS.index(level) + 1


def _worst(found: Watched) -> int:
    return max((LEVELS.index(alert.level) + 1 for alert in found.alerts), default=0)
