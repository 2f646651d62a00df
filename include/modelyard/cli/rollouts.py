"""`modelyard models approve` and `reject`, and how a rollout under way is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue
from rich.markup import escape

from modelyard.cli.output import AsJson, out, print_table
from modelyard.settings import Settings, get_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.rollout.decide import Outlook
    from modelyard.rollout.moves import Author, Move
    from modelyard.store.records import RolloutRecord

Name = Annotated[str, typer.Argument(help="The model's name.", show_default=False)]
Why = Annotated[str, typer.Option("--why", help="The reason, for the ledger.")]


def register(app: typer.Typer, report: Callable[[str, Move | None, bool], None]) -> None:
    """Add the commands to `modelyard models`."""

    @app.command()
    def approve(
        name: Name,
        share: Annotated[
            float,
            typer.Option(help="The share of the traffic; below 1 is one more canary step."),
        ] = 1.0,
        why: Why = "",
        as_json: AsJson = False,
    ) -> None:
        """Let a challenger go on that waits for approval.

        Example: [bold]modelyard models approve digits-cnn[/]
        """
        from modelyard import serve_control

        report(name, serve_control.approve(get_settings(), name, share, _author(why)), as_json)

    @app.command()
    def reject(name: Name, why: Why = "", as_json: AsJson = False) -> None:
        """Take a challenger away that waits for approval.

        Example: [bold]modelyard models reject digits-cnn --why "too slow on Mondays"[/]
        """
        from modelyard import serve_control

        report(name, serve_control.reject(get_settings(), name, _author(why)), as_json)


def _author(why: str) -> Author:
    from modelyard import serve_control
    from modelyard.rollout.moves import Author

    return Author(serve_control.by_hand().by, reason=why)


def progress(settings: Settings, model: str) -> tuple[RolloutRecord, Outlook] | None:
    """The rollout that is under way and what its evidence says; None if there is none."""
    from modelyard.rollout.attend import outlook_of
    from modelyard.store.database import open_store

    with open_store(settings.database_url) as store:
        record = store.rollout(model)
        outlook = None if record is None else outlook_of(store, record)
    return None if record is None or outlook is None else (record, outlook)


def as_json(found: tuple[RolloutRecord, Outlook] | None) -> JsonValue:
    """Spell a rollout for scripts."""
    if found is None:
        return None
    record, outlook = found
    kept = record.model_dump(mode="json", exclude={"policy", "model"})
    return {**kept, "evidence": outlook.as_json()}


def show(found: tuple[RolloutRecord, Outlook]) -> None:
    """Write where a rollout is, its counts and bounds, and what the next step waits for."""
    record, outlook = found
    step = f" step {record.step + 1}" if record.status == "canary" else ""
    out.print(
        f"rollout of version {record.version}: {record.status}{step} since "
        f"{record.changed:%Y-%m-%d %H:%M} UTC; {escape(record.reason)}"
    )
    print_table(
        ["measure", "champion", "challenger", "difference", "margin", "verdict"],
        [_row(outlook, index) for index in range(len(outlook.judgements))],
    )
    for line in outlook.missing:
        out.print(f"  missing: {escape(line)}")


def _row(outlook: Outlook, index: int) -> list[object]:
    one = outlook.judgements[index]
    low, high = one.bounds(outlook.alpha_worse, outlook.alpha_fine)
    counts = [
        "-" if count.rate is None else f"{count.hits} of {count.trials} ({count.rate:.2%})"
        for count in (one.champion, one.challenger)
    ]
    margin = f"{one.comparison.margin:.1%}" if one.comparison.decisive else "-"
    return [one.comparison.measure, *counts, f"{low:+.2%} to {high:+.2%}", margin, one.verdict]
