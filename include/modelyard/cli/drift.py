"""`modelyard drift`: compare live inputs with what the model learned from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelyard.cli.output import AsJson, out, print_json, print_table
from modelyard.errors import UsageError

if TYPE_CHECKING:
    from modelyard.monitoring.check import DriftReport, Window

DRIFTED: Final = 1


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("drift")(drift)


def drift(  # noqa: PLR0913, PLR0917 - one parameter an option
    name: Annotated[str, typer.Argument(help="The model's name.")],
    window: Annotated[
        str, typer.Option(help="How many of the last predictions to compare: a number, or all.")
    ] = "1000",
    version: Annotated[
        int | None, typer.Option(help="The model version. Default: the champion.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the report here. Default: a new file in the home.")
    ] = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with 1 if any column drifted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare live inputs with the training data, column by column, and write an HTML report.

    Example: [bold]modelyard drift digits-cnn --window 1000[/]
    """
    from modelyard.settings import get_settings
    from modelyard.watch import run_drift

    size = parse_window(window)
    destination = _as_html(output)
    report = run_drift(get_settings(), name, window=size, version=version, destination=destination)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _show(report)
    if fail_on_drift and report.check.drifted:
        raise typer.Exit(DRIFTED)


def parse_window(text: str) -> Window:
    """Read the size of a window."""
    if text == "all":
        return "all"
    number = text.replace("_", "").replace(",", "")
    if not number.isascii() or not number.isdigit() or int(number) == 0:
        message = f"--window {text} is no size"
        raise UsageError(message, hint="a number of predictions such as 1000, or all")
    return int(number)


def _as_html(output: Path | None) -> Path | None:
    if output is None:
        return None
    if output.suffix != ".html":
        message = f"--output {output} does not end in .html"
        raise UsageError(message, hint="the JSON and the profile are written beside it")
    return output.absolute()


def _show(report: DriftReport) -> None:
    from rich.markup import escape

    from modelyard.monitoring.report import headline, sure

    check = report.check
    rows = [
        (
            escape(verdict.column) + (" (missing)" if verdict.kind == "missing" else ""),
            "[bold red]drifted[/]" if verdict.drifted else "-" if untested else "no drift",
            sure(verdict.p_adjusted),
            "-" if untested else f"{verdict.effect:.3f}",
            escape(verdict.note or ""),
        )
        for verdict in check.verdicts
        for untested in [verdict.p_value is None]
    ]
    title = f"{check.model} version {check.version}: {headline(check)}"
    print_table(["column", "verdict", "p, corrected", "effect", "note"], rows, title)
    out.print(f"{check.rows:,} predictions against {check.reference_rows:,} reference rows")
    out.print(f"report  {escape(str(report.html))}")
