"""`modelyard keys`: who may use the endpoint."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer
from pydantic import JsonValue

from modelyard.cli.output import AsJson, err, out, print_json, print_table
from modelyard.errors import UsageError
from modelyard.settings import Settings, get_settings
from modelyard.store.records import ApiKey

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Make, list and revoke API keys of the endpoint.",
)
Name = Annotated[str, typer.Argument(help="What the key is called.", show_default=False)]


@app.command()
def create(
    name: Name,
    scope: Annotated[
        list[str],
        typer.Option(help="predict, feedback, metrics, or admin, which is all; several times."),
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="Only for this model; several times. Default: all.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Requests a minute, of each ingress replica. Default: any.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once.

    Example: [bold]modelyard keys create web-shop --scope predict --scope feedback --rate 600[/]
    """
    from modelyard.api_keys import make_key
    from modelyard.store.database import open_store

    settings = get_settings()
    made = make_key(name, scope, model or (), rate)
    with open_store(settings.database_url) as store:
        store.add_api_key(made.record)
    if as_json:
        print_json({**_json(made.record), "key": made.text})
        return
    # The key alone is standard output, so that it can be piped to where secrets are kept.
    sys.stdout.write(f"{made.text}\n")
    sys.stdout.flush()
    err.print(f"shown this once; the endpoint takes it within 2 s: {_who(made.record)}")
    err.print("send it as: Authorization: Bearer KEY")


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys, revoked ones too; never the keys themselves.

    Example: [bold]modelyard keys list[/]
    """
    found = _keys(get_settings())
    if as_json:
        print_json([_json(key) for key in found])
    elif found:
        print_table(
            ["name", "scopes", "models", "requests a minute", "made", "revoked"],
            [
                [
                    key.name,
                    ", ".join(key.scopes),
                    ", ".join(key.models) or "all",
                    key.rate_per_minute,
                    _moment(key.created),
                    _moment(key.revoked),
                ]
                for key in found
            ],
        )
    else:
        out.print("there is no key; make one: modelyard keys create NAME --scope predict")


@app.command()
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Take a key back; the endpoint refuses it within 2 s.

    Example: [bold]modelyard keys revoke web-shop[/]
    """
    from modelyard.store.database import open_store

    settings = get_settings()
    with open_store(settings.database_url) as store:
        revoked = store.revoke_api_key(name)
    if not revoked:
        _explain(settings, name)
    if as_json:
        print_json({"name": name, "revoked": revoked})
    else:
        out.print(f"{name}: {'revoked' if revoked else 'was revoked before'}")


def _explain(settings: Settings, name: str) -> None:
    """Refuse a name that never was a key's; one that was revoked before is no error."""
    names = [key.name for key in _keys(settings)]
    if name not in names:
        message = f"there is no key {name}; there is {', '.join(names) or 'none'}"
        raise UsageError(message, hint="see: modelyard keys list")


def _keys(settings: Settings) -> list[ApiKey]:
    from modelyard.store.database import open_store

    with open_store(settings.database_url) as store:
        return store.api_keys()


def _json(key: ApiKey) -> dict[str, JsonValue]:
    return key.model_dump(mode="json", exclude={"digest"})


def _who(key: ApiKey) -> str:
    models = f", for {', '.join(key.models)}" if key.models else ""
    rate = f", {key.rate_per_minute} requests a minute" if key.rate_per_minute else ""
    return f"{key.name} may {', '.join(key.scopes)}{models}{rate}"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"
