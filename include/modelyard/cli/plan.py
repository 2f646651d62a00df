"""`modelyard plan`: what a change would do, before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from modelyard.cli.output import AsJson, err, out, print_json, print_table
from modelyard.errors import ModelyardError, UsageError
from modelyard.settings import Settings, get_settings

if TYPE_CHECKING:
    from modelyard.rollout.moves import Decide
    from modelyard.rollout.plan import Plan, Share

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would do, and change nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("plan")(plan_command)


def plan_command(
    specs: Annotated[
        list[str] | None,
        typer.Argument(help="Specs, by name or path; all unless given.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what running specs would do: stages made or found, versions, traffic; changes nothing.

    What moving traffic by hand would do is said by `modelyard models promote NAME --dry-run`.

    Examples: [bold]modelyard plan digits-cnn[/], [bold]modelyard plan --json[/]
    """
    from modelyard.plans import plan_run
    from modelyard.spec.load import find_specs, load_spec, resolve

    settings = get_settings()
    paths = (
        [resolve(name, settings.specs) for name in specs] if specs else find_specs(settings.specs)
    )
    plans: list[Plan] = []
    failed: ModelyardError | None = None
    for path in paths:
        try:
            plans.append(plan_run(load_spec(path), settings))
        except ModelyardError as error:
            failed = error
            err.print(f"[yellow]{escape(f'{path.stem}: {error}')}[/]")
    if as_json:
        print_json([plan.model_dump(mode="json") for plan in plans])
    else:
        for plan in plans:
            print_plan(plan)
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def show_move(name: str, change: str, needs: Sequence[int], decide: Decide, as_json: bool) -> None:
    """Say what a move by hand would do."""
    from modelyard.plans import look_around
    from modelyard.rollout.plan import plan_move

    settings = get_settings()
    state = look_around(settings, name)
    _refuse_unknown(settings, name, needs, {item.version for item in state.variants}, state.newest)
    plan = plan_move(name, change, state, needs, decide)
    if as_json:
        print_json(plan.model_dump(mode="json"))
    else:
        print_plan(plan)


def _refuse_unknown(
    settings: Settings, name: str, needs: Sequence[int], deployed: set[int], newest: int
) -> None:
    from modelyard.tracking import registry

    if not deployed and not newest:
        message = f"there is no model {name}"
        raise UsageError(message, hint="see: modelyard models list")
    for version in needs:
        if version not in deployed:
            registry.version(settings, name, version)


def print_plan(plan: Plan) -> None:
    """Write a plan for people."""
    out.print(f"[bold]{escape(plan.change)}[/]")
    if plan.nothing:
        out.print("  nothing to change")
        return
    if plan.stages:
        told = [f"{stage.stage} {stage.state}" for stage in plan.stages]
        out.print(f"  stages: {', '.join(told)}")
    if plan.registers:
        out.print(f"  registry: {escape(plan.registers)}")
    if plan.before != plan.after:
        _print_traffic(plan.before, plan.after)
    for title, lines in (("start", plan.starts), ("stop", plan.stops), ("then", plan.then)):
        for line in lines:
            out.print(f"  {title}: {escape(line)}")
    for note in plan.notes:
        out.print(f"  note: {escape(note)}")


def _print_traffic(before: Sequence[Share], after: Sequence[Share]) -> None:
    old = {share.version: share for share in before}
    new = {share.version: share for share in after}
    print_table(
        ["version", "now", "then"],
        [
            [version, _spelled(old.get(version)), _spelled(new.get(version))]
            for version in sorted(old | new)
        ],
    )


def _spelled(share: Share | None) -> str:
    if share is None:
        return "not deployed"
    copies = f", copies of {share.shadow:.0%}" if share.shadow else ""
    named = f", experiment {share.experiment}" if share.experiment else ""
    return f"{share.role}, {share.share:.1%}{copies}{named}"
