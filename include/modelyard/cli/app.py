"""The `modelyard` command: exit code 0 done, 1 refused, 2 usage."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import typer

from modelyard import __version__
from modelyard.cli.neighbour import USERS, use_running_stack
from modelyard.cli.output import err
from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"modelyard {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: bool = typer.Option(
        False,
        "--version",
        callback=_version,
        is_eager=True,
        help="Say which version this is.",
    ),
) -> None:
    """From a short model spec to a trained, tracked, served and watched deep-learning model."""
    del version  # its callback has answered
    if context.invoked_subcommand in USERS:
        use_running_stack()


def build_app() -> typer.Typer:
    """Collect all commands."""
    app = typer.Typer(
        name="modelyard",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for group in ("spec", "data", "models", "alerts", "keys", "db"):
        app.add_typer(importlib.import_module(f"modelyard.cli.{group}").app, name=group)
    for name in (
        "run",
        "plan",
        "verify",
        "drift",
        "watch",
        "explain",
        "retrainings",
        "stack",
        "steward",
    ):
        importlib.import_module(f"modelyard.cli.{name}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every refusal becomes one text on standard error and an exit code."""
    try:
        build_app()(arguments, standalone_mode=True)
    except ModelyardError as error:
        err.print(f"[bold red]modelyard:[/] {_plain(str(error))}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)


def _plain(text: str) -> str:
    """Keep brackets of a message from being read as rich markup."""
    from rich.markup import escape

    return escape(text)
