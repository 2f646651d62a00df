"""`modelyard drift`: compare live inputs with what the model learned from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelyard.cli.output import AsJson, out, print_json, print_table
from modelyard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.monitoring.check import DriftReport, Window
    from modelyard.store.monitoring_records import Verdict

DRIFTED: Final = 1


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("drift")(drift)


def drift(  # noqa: PLR0913, PLR0917 - one parameter an option
    name: Annotated[str, typer.Argument(help="The model's name.")],
    window: Annotated[
        str,
        typer.Option(
            help="Which predictions to compare: the last so many, all, or a time span (90m, 24h, 7d)."
        ),
    ] = "1000",
    column: Annotated[
        list[str] | None,
        typer.Option(help="Show only this column; may be given again. All are compared."),
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Compare only the rows where COLUMN=VALUE.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="The model version. Default: the champion.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the report here. Default: a new file in the home.")
    ] = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with 1 if any shown column drifted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare live inputs and outputs with the reference, column by column, and write a report.

    Example: [bold]modelyard drift digits-cnn --window 24h[/]
    """
    from modelyard.settings import get_settings
    from modelyard.watch import run_drift

    report = run_drift(
        get_settings(),
        name,
        window=parse_window(window),
        version=version,
        segment=segment,
        destination=_as_html(output),
    )
    shown = _of(report.check.verdicts, column or ())
    if as_json:
        document = report.model_dump(mode="json")
        document["check"]["verdicts"] = [verdict.model_dump(mode="json") for verdict in shown]
        print_json(document)
    else:
        _show(report, shown)
    if fail_on_drift and any(verdict.drifted for verdict in shown):
        raise typer.Exit(DRIFTED)


def parse_window(text: str) -> Window:
    """Read the size of a window: a number, all, or a time span."""
    from modelyard.monitoring.window import SPAN

    if text == "all" or SPAN.fullmatch(text):
        return text
    number = text.replace("_", "").replace(",", "")
    if not number.isascii() or not number.isdigit() or int(number) == 0:
        message = f"--window {text} is no size"
        raise UsageError(
            message, hint="a number of predictions such as 1000, all, or a time span such as 24h"
        )
    return int(number)


def _as_html(output: Path | None) -> Path | None:
    if output is None:
        return None
    if output.suffix != ".html":
        message = f"--output {output} does not end in .html"
        raise UsageError(message, hint="the JSON and the profile are written beside it")
    return output.absolute()


def _of(verdicts: Sequence[Verdict], columns: Sequence[str]) -> list[Verdict]:
    """Keep the verdicts of the columns that were asked for, all by default."""
    known = dict.fromkeys(verdict.column for verdict in verdicts)
    unknown = next((column for column in columns if column not in known), None)
    if unknown is not None:
        from difflib import get_close_matches

        near = get_close_matches(unknown, known, n=1)
        message = f"there is no column {unknown} among those that were compared"
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UsageError(message, hint=hint)
    return [verdict for verdict in verdicts if not columns or verdict.column in columns]


def _show(report: DriftReport, verdicts: Sequence[Verdict]) -> None:
    from rich.markup import escape

    from modelyard.monitoring.reports import headline
    from modelyard.monitoring.reports.words import window_of

    check = report.check
    columns = ["column", "verdict", "p, corrected", "effect", "since, UTC"]
    title = f"{check.model} version {check.version}: {headline(check)}"
    print_table(columns, map(_row, verdicts), escape(title))
    for verdict in verdicts:
        if verdict.note:
            out.print(escape(f"{_name(verdict)}: {verdict.note}"))
    out.print(escape(f"{window_of(check)} against {check.reference_rows:,} reference rows"))
    out.print(f"report  {escape(str(report.html))}")


def _row(verdict: Verdict) -> tuple[str, ...]:
    from rich.markup import escape

    from modelyard.monitoring.reports import sure
    from modelyard.monitoring.reports.words import size

    tested = verdict.p_value is not None
    word = size(verdict.effect_name, verdict.effect) if verdict.drifted else None
    return (
        escape(_name(verdict)),
        "[bold red]drifted[/]" if verdict.drifted else "no drift" if tested else "-",
        sure(verdict.p_adjusted),
        (f"{verdict.effect:.3f}" + (f" {word}" if word else "")) if tested else "-",
        "-" if verdict.since is None else f"{verdict.since:%Y-%m-%d %H:%M}",
    )


def _name(verdict: Verdict) -> str:
    return f"{verdict.column} (missing)" if verdict.kind == "missing" else verdict.column
