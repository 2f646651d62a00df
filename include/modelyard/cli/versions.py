"""`modelyard models compare|card|stage|best`: what is known of versions, and their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from modelyard.cli.output import AsJson, out, print_json, print_table
from modelyard.errors import UsageError
from modelyard.settings import Settings, get_settings

if TYPE_CHECKING:
    from modelyard.tracking.compare import Comparison
    from modelyard.tracking.registry import ModelVersion

COMPARE_EXAMPLE = "such as: modelyard models compare digits-cnn 3 4"
MOST_WORDS = 3


def register(app: typer.Typer) -> None:
    """Add the commands to `modelyard models`."""
    app.command("compare")(compare)
    app.command("card")(card)
    app.command("stage")(stage)
    app.command("best")(best)


def compare(
    versions: Annotated[
        list[str],
        typer.Argument(
            help="NAME [A] [B], or NAME:A NAME:B of any two models. A and B are numbers, champion or challenger."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare two versions: metrics, parameters, data, and if the difference is more than chance.

    Of one version alone, it is compared with the champion; of a name alone, the challenger is.

    Examples: [bold]modelyard models compare digits-cnn 3 4[/], [bold]modelyard models compare digits-cnn[/], [bold]modelyard models compare digits-cnn:4 digits-resnet:1[/]
    """
    from modelyard.tracking.compare import compare_runs

    settings = get_settings()
    first, second = _pair(settings, versions)
    found = compare_runs(
        settings, (first.title, first.mlflow_run), (second.title, second.mlflow_run)
    )
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)


def card(
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    version: Annotated[
        str, typer.Argument(help="The version's number, champion or challenger.")
    ] = "champion",
) -> None:
    """Print a version's model card: purpose, data, metrics, limits, how to call it.

    Example: [bold]modelyard models card digits-cnn 3[/]
    """
    from modelyard.tracking import registry
    from modelyard.tracking.package import CARD

    settings = get_settings()
    found = registry.find(settings, f"{name}:{version}")
    file = registry.download(settings, found.name, found.version) / CARD
    if not file.exists():
        message = f"{found.title} has no model card: it was registered by an older Modelyard"
        raise UsageError(message, hint=f"register it again: modelyard run {name} --fresh")
    typer.echo(file.read_text(encoding="utf-8"))


def stage(
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    version: Annotated[str, typer.Argument(help="The version's number.", show_default=False)],
    to: Annotated[str, typer.Argument(help="Staging, Production or Archived.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    as_json: AsJson = False,
) -> None:
    """Move a version to Staging (challenger), Production (champion) or Archived (neither).

    Example: [bold]modelyard models stage digits-cnn 3 production --reason "better on twos"[/]
    """
    from modelyard.model_registry import ModelRegistry, stage_of

    moved = ModelRegistry(get_settings()).transition_model_stage(f"{name}:{version}", to, reason)
    if as_json:
        print_json({**moved.model_dump(mode="json"), "stage": stage_of(moved)})
    else:
        out.print(f"{moved.title} is in {stage_of(moved)}")


def best(
    experiment: Annotated[
        str, typer.Argument(help="The experiment, named as its spec.", show_default=False)
    ],
    metric: Annotated[str, typer.Argument(help="OUTPUT.METRIC.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Register the training that did best by a metric on the test split, if it is not yet.

    Example: [bold]modelyard models best digits-cnn label.accuracy[/]
    """
    from modelyard.model_registry import ModelRegistry

    found = ModelRegistry(get_settings()).register_best_model(experiment, metric)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        value = found.metrics[metric]
        aliases = ", ".join(found.aliases) or "no alias"
        out.print(f"{found.title} ({aliases}): {metric} {value:.4g}, run {found.run}")


def champions(name: str, last: int, as_json: bool) -> None:
    """Show who was champion, from when to when, the present one first."""
    from modelyard.model_registry import ModelRegistry

    found = ModelRegistry(get_settings()).history(name)[:last]
    if as_json:
        print_json([reign.model_dump(mode="json") for reign in found])
    elif found:
        print_table(
            ["version", "since (UTC)", "until (UTC)", "why", "by", "run"],
            [
                [
                    reign.version,
                    f"{reign.since:%Y-%m-%d %H:%M:%S}",
                    f"{reign.until:%Y-%m-%d %H:%M:%S}" if reign.until else "now",
                    escape(reign.reason),
                    reign.by,
                    reign.run,
                ]
                for reign in found
            ],
        )
    else:
        out.print(f"no version of {name} was ever champion of any traffic")


def _pair(settings: Settings, words: list[str]) -> tuple[ModelVersion, ModelVersion]:
    from modelyard.tracking import registry

    if len(words) > MOST_WORDS:
        message = f"two versions can be compared; these are {len(words)} words"
        raise UsageError(message, hint=COMPARE_EXAMPLE)
    if ":" in words[0]:
        if len(words) > 2:  # noqa: PLR2004 - NAME:A NAME:B
            message = f"{words[0]} is a version already"
            raise UsageError(message, hint=COMPARE_EXAMPLE)
        spelled = [*words, f"{words[0].rpartition(':')[0]}:champion"]
        first, second = spelled[:2] if len(words) > 1 else spelled[::-1]
    else:
        name, *which = words
        a, b = ["champion", *(which or ["challenger"])][-2:] if len(which) < 2 else which  # noqa: PLR2004 - A and B
        first, second = f"{name}:{a}", f"{name}:{b}"
    return registry.find(settings, first), registry.find(settings, second)


def _show(found: Comparison) -> None:
    from modelyard.tracking.compare_text import cell, parts, verdicts

    for title, rows in parts(found).items():
        if rows:
            print_table(
                [title, found.first, found.second],
                [
                    [escape(name), escape(cell(first)), escape(cell(second))]
                    for name, (first, second) in rows.items()
                ],
            )
        else:
            out.print(f"{title}: none")
    for line in verdicts(found):
        out.print(f"[bold]{escape(line)}[/]")
