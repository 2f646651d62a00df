"""`modelyard verify`: make a version again and say whether it is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from modelyard.cli.output import AsJson, err, out, print_json, print_table
from modelyard.settings import get_settings

if TYPE_CHECKING:
    from modelyard.verify.again import Verified

COLOURS = {"identical": "green", "within tolerance": "yellow", "different": "red"}
LONGEST = 100


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("verify")(verify_command)


def verify_command(
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    version: Annotated[int, typer.Argument(help="The version's number.", show_default=False)],
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="The largest difference of a metric that counts as the same."),
    ] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Make a version again from its recorded spec, data and code, in a clean temporary folder.

    Says identical (equal weights), within tolerance (with the largest difference) or different,
    which is exit code 1.

    Example: [bold]modelyard verify breast-cancer-mlp 1[/]
    """
    from modelyard.verify.again import verify

    with err.status(f"{name} {version}") as status:
        found = verify(
            get_settings(),
            name,
            version,
            tolerance,
            lambda line: status.update(escape(line[:LONGEST])),
        )
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    if found.outcome == "different":
        raise typer.Exit(1)


def _show(found: Verified) -> None:
    for note in found.notes:
        out.print(escape(note))
    if found.outcome != "identical":
        print_table(
            ["metric", "recorded", "made again"],
            [[name, value, found.made.get(name)] for name, value in sorted(found.recorded.items())],
        )
    words = f"[{COLOURS[found.outcome]}]{found.outcome}[/]"
    tail = (
        "the weights are equal, bit for bit"
        if found.outcome == "identical"
        else f"{found.metric} differs most, by {found.difference:.3g}; the tolerance is {found.tolerance:g}"
    )
    out.print(f"{found.version}: {words}: {tail}")
