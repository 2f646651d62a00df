"""`modelyard steward`: look after rollouts, where no stack of Modelyard's own does."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("steward")(steward_command)


def steward_command() -> None:
    """Move rollouts on by their evidence and follow MLflow's aliases, until it is stopped.

    `modelyard up` has one already. Elsewhere run one beside the endpoint, with the same
    MODELYARD_ settings; a second one on the same home folder waits for the first to end.

    Example: [bold]modelyard steward[/]
    """
    from modelyard.stack import steward

    raise typer.Exit(steward.main([]))
