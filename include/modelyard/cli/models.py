"""`modelyard models`: what is served, and moving traffic by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue
from rich.markup import escape

from modelyard.cli import rollouts, versions
from modelyard.cli.output import AsJson, err, out, print_json, print_table
from modelyard.cli.plan import DryRun, show_move
from modelyard.errors import ServingError, UsageError
from modelyard.settings import Settings, get_settings

if TYPE_CHECKING:
    from modelyard.rollout.moves import Move
    from modelyard.store.records import LedgerEntry, Variant
    from modelyard.tracking.registry import ModelVersion

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="See which model versions are served, and move traffic between them.",
)
versions.register(app)
Name = Annotated[str, typer.Argument(help="The model's name.", show_default=False)]
WEIGHTS_EXAMPLE = "such as: --weights 3=0.9,4=0.1"


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List what is deployed: versions, roles and shares of the traffic.

    Example: [bold]modelyard models list[/]
    """
    settings = get_settings()
    variants = _variants(settings, None)
    states = _states(settings)
    rows = [{**_variant_json(item), "state": states(item)} for item in variants]
    if as_json:
        print_json([*rows])
    elif rows:
        print_table(
            ["model", "version", "role", "share", "state"],
            [
                [row["model"], row["version"], row["role"], _percent(row["share"]), row["state"]]
                for row in rows
            ],
        )
    else:
        out.print("no model is deployed; train and deploy one: modelyard run SPEC")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show all versions of a model, with metrics, the run that made them and their traffic.

    Example: [bold]modelyard models show digits-cnn[/]
    """
    from modelyard.tracking import registry

    settings = get_settings()
    found = registry.versions(settings, name)
    if not found:
        raise _unknown_model(settings, name)
    deployed = {item.version: item for item in _variants(settings, name)}
    rows = [_version_json(version, deployed.get(version.version)) for version in found]
    under_way = rollouts.progress(settings, name)
    if as_json:
        print_json({"model": name, "versions": [*rows], "rollout": rollouts.as_json(under_way)})
        return
    print_table(
        ["version", "role", "share", "metrics", "run", "registered"],
        [
            [
                version.version,
                row["role"],
                _percent(row["share"]),
                _metrics(version.metrics),
                version.run,
                f"{version.created:%Y-%m-%d %H:%M}",
            ]
            for version, row in zip(found, rows, strict=True)
        ],
        title=name,
    )
    if under_way is not None:
        rollouts.show(under_way)


@app.command()
def promote(
    name: Name,
    version: Annotated[
        int | None,
        typer.Argument(help="The version; the challenger unless given.", show_default=False),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion: it gets all traffic, and the former one stays warm.

    Examples: [bold]modelyard models promote digits-cnn[/], [bold]modelyard models promote digits-cnn 3[/]
    """
    from modelyard import serve_control

    if dry_run:
        from modelyard.rollout import moves, plan

        needs = [] if version is None else [version]
        change = f"promote {name} {'the challenger' if version is None else version}"
        show_move(
            name,
            change,
            needs,
            lambda now: moves.promote(now, name, version, plan.PLANNER),
            as_json,
        )
        return
    _report(name, serve_control.promote(get_settings(), name, version), as_json)


@app.command()
def rollback(name: Name, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Take the challenger away; where there is none, go back to the former champion.

    Example: [bold]modelyard models rollback digits-cnn[/]
    """
    from modelyard import serve_control

    if dry_run:
        from modelyard.rollout import moves, plan

        show_move(
            name,
            f"roll {name} back",
            [],
            lambda now: moves.rollback(now, name, plan.PLANNER),
            as_json,
        )
        return
    _report(name, serve_control.rollback(get_settings(), name), as_json)


@app.command()
def split(
    name: Name,
    weights: Annotated[
        str,
        typer.Option(help="VERSION=WEIGHT,... of any sum; versions not named get no traffic."),
    ],
    experiment: Annotated[
        str | None,
        typer.Option(help="Call it an A/B test: each logged prediction bears this name."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Divide a model's traffic between versions; those that are not deployed are started first.

    Examples: [bold]modelyard models split digits-cnn --weights 3=0.9,4=0.1[/], [bold]modelyard models split digits-cnn --weights 3=1,4=1 --experiment bigger-net[/]
    """
    from modelyard import serve_control

    shares = parse_weights(weights)
    if dry_run:
        from modelyard.rollout import moves, plan

        show_move(
            name,
            f"split {name}",
            [*shares],
            lambda now: moves.split(now, name, shares, plan.PLANNER, experiment),
            as_json,
        )
        return
    move = serve_control.split(get_settings(), name, shares, experiment=experiment)
    _report(name, move, as_json)


@app.command()
def history(
    name: Name,
    last: Annotated[int, typer.Option(min=1, help="How many changes at most.")] = 20,
    champions: Annotated[
        bool, typer.Option("--champions", help="Only who was champion, from when to when.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every change of a model's traffic, newest first: what, why and by whom.

    Examples: [bold]modelyard models history digits-cnn --last 5[/], [bold]modelyard models history digits-cnn --champions[/]
    """
    from modelyard.store.database import open_store

    settings = get_settings()
    if champions:
        versions.champions(name, last, as_json)
        return
    with open_store(settings.database_url) as store:
        entries = store.ledger(name, last)
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in entries])
    elif entries:
        print_table(
            ["when (UTC)", "action", "before", "after", "why", "by", "run"],
            [_history_row(entry) for entry in entries],
        )
    else:
        raise _unknown_model(settings, name)


def parse_weights(text: str) -> dict[int, float]:
    """Read ``3=0.9,4=0.1``; raise UsageError for anything else."""
    weights: dict[int, float] = {}
    for part in text.split(","):
        version, _, weight = part.partition("=")
        try:
            number, share = int(version), float(weight)
        except ValueError as error:
            message = f"weights are VERSION=WEIGHT, and not {part.strip()!r}"
            raise UsageError(message, hint=WEIGHTS_EXAMPLE) from error
        if number in weights:
            message = f"version {number} has two weights"
            raise UsageError(message, hint=WEIGHTS_EXAMPLE)
        weights[number] = share
    return weights


def _variants(settings: Settings, model: str | None) -> list[Variant]:
    from modelyard.store.database import open_store

    with open_store(settings.database_url) as store:
        return store.variants(model)


class _states:  # noqa: N801 - reads as a question: states(variant)
    """What Ray Serve says of each variant; one question for all."""

    def __init__(self, settings: Settings) -> None:
        from modelyard.ray_access import ray_headers
        from modelyard.rollout.ray_serve import ServeClient

        self._known: dict[str, str] | None = None
        if settings.serve_api is None:
            return
        try:
            headers = ray_headers(settings)
            with ServeClient(settings.serve_api, timeout=5, headers=headers) as client:
                self._known = {app: found.status for app, found in client.statuses().items()}
        except ServingError as error:
            err.print(f"[yellow]{escape(str(error))}[/]")

    def __call__(self, variant: Variant) -> str:
        from modelyard.rollout.routes import app_name

        if self._known is None:
            return "not serving"
        state = self._known.get(app_name(variant.model, variant.version), "not started")
        return state.lower().replace("_", " ")


def _variant_json(variant: Variant) -> dict[str, JsonValue]:
    return {
        "model": variant.model,
        "version": variant.version,
        "role": variant.role,
        "share": variant.weight,
    }


def _version_json(version: ModelVersion, deployed: Variant | None) -> dict[str, JsonValue]:
    return {
        **version.model_dump(mode="json", exclude={"name", "folder"}),
        "role": None if deployed is None else deployed.role,
        "share": None if deployed is None else deployed.weight,
    }


def _history_row(entry: LedgerEntry) -> list[object]:
    return [
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        entry.action,
        _shares(entry.before),
        _shares(entry.after),
        escape(entry.reason),
        entry.by,
        entry.run,
    ]


def _report(name: str, move: Move | None, as_json: bool) -> None:
    """Say what a change has done, or that there was nothing to do."""
    variants = _variants(get_settings(), name)
    if as_json:
        entry = None if move is None else move.entry.model_dump(mode="json")
        print_json({"changed": entry, "variants": [_variant_json(item) for item in variants]})
        return
    out.print(f"{name}: {'nothing to change' if move is None else escape(move.entry.reason)}")
    for item in variants:
        out.print(f"  version {item.version}: {item.role}, {_percent(item.weight)} of the traffic")


rollouts.register(app, _report)


def _unknown_model(settings: Settings, name: str) -> UsageError:
    from modelyard.tracking import registry

    names = sorted({version.name for version in registry.versions(settings)})
    message = f"there is no model {name}; there is {', '.join(names) or 'none yet'}"
    return UsageError(message, hint="see: modelyard models list")


def _percent(share: JsonValue) -> str | None:
    return f"{share:.1%}" if isinstance(share, int | float) else None


def _shares(weights: dict[str, float]) -> str:
    return ", ".join(f"{version}: {weight:.0%}" for version, weight in weights.items()) or "none"


def _metrics(metrics: dict[str, float], most: int = 3) -> str:
    """The first metrics, quality before loss."""
    named: Sequence[str] = sorted(metrics, key=lambda name: ("loss" in name, name))
    return ", ".join(f"{name} {metrics[name]:.4g}" for name in named[:most])
