"""`modelyard db`: look after Modelyard's database."""

from __future__ import annotations

import typer

from modelyard.cli.output import AsJson, out, print_json

app = typer.Typer(
    help="Look after Modelyard's database.", no_args_is_help=True, rich_markup_mode="rich"
)


@app.command()
def upgrade(as_json: AsJson = False) -> None:
    """Bring the database to the newest revision; everything that opens it does so too.

    Example: [bold]modelyard db upgrade[/]
    """
    from modelyard.settings import get_settings
    from modelyard.store.state import upgrade_database

    state = upgrade_database(get_settings().database_url)
    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        out.print(f"{state.database}: {state.in_words}")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say where the database is and whether it is up to date, and change nothing.

    Example: [bold]modelyard db status[/]
    """
    from modelyard.settings import get_settings
    from modelyard.store.state import read_state

    state = read_state(get_settings().database_url)
    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        out.print(f"{state.database}: {state.in_words}")
