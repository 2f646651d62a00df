"""`modelyard retrainings`: what alerts have started, and why not more."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from modelyard.cli.output import AsJson, out, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("retrainings")(retrainings)


def retrainings(
    name: Annotated[str | None, typer.Argument(help="The model's name. Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the retrainings that alerts have started, and why the last alert got none.

    Example: [bold]modelyard retrainings digits-cnn[/]
    """
    from modelyard import retrain
    from modelyard.settings import get_settings
    from modelyard.store.database import open_store

    settings = get_settings()
    with open_store(settings.database_url) as store:
        records = store.retrainings(name, limit)
        models = {name} if name else {alert.model for alert in store.alerts(open_only=True)}
    found = (retrain.last_refusal(settings, model) for model in sorted(models))
    refusals = [one for one in found if one is not None]
    if as_json:
        documents: Any = {
            "retrainings": [record.model_dump(mode="json") for record in records],
            "refusals": [refusal.model_dump(mode="json") for refusal in refusals],
        }
        print_json(documents)
        return
    columns = ["asked", "model", "status", "version", "labels", "data revision", "alert", "why"]
    rows = [
        (
            f"{record.asked:%Y-%m-%d %H:%M}",
            escape(record.model),
            record.status,
            record.version,
            record.rows,
            (record.revision or "of the spec")[:12],
            record.alert[:8],
            escape(record.reason.partition("\n")[0]),
        )
        for record in records
    ]
    print_table(columns, rows)
    for refusal in refusals:
        out.print(f"{refusal.at:%Y-%m-%d %H:%M}  {refusal.model}: {escape(refusal.reason)}")
