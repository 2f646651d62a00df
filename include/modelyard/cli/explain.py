"""`modelyard explain`: where one answer came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import AsJson, out, print_json

if TYPE_CHECKING:
    from modelyard.explain import Explanation
    from modelyard.store.records import Label, ShadowRecord


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("explain")(explain)


def explain(
    prediction: Annotated[
        str, typer.Argument(metavar="PREDICTION_ID", help="The id that the answer gave.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say where an answer came from: request, version, data, code, run, and alerts at that time.

    Example: [bold]modelyard explain 019d3f2a5b6c7d8e[/]
    """
    from modelyard.explain import explain as gather
    from modelyard.settings import get_settings

    found = gather(get_settings(), prediction)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from rich.markup import escape

    for title, facts in sections(found):
        out.print(f"[bold]{escape(title)}[/]")
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            out.print(f"  {escape(name):<{width}}  {escape(value)}".rstrip())


def sections(found: Explanation) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the links of the chain, from the answer back to the data, each with its facts."""
    yield from ((title, facts) for title, facts in _all(found) if facts)


def _all(found: Explanation) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    role = {"other": "another version", None: "role unknown"}.get(found.role, found.role)
    yield (
        f"Answer {found.prediction}",
        _known(
            at=f"{found.at:%Y-%m-%d %H:%M:%S} UTC",
            **{f"answer {name}": _answer(found, name) for name in found.outputs},
            **{f"truth {one.output}": _label(one) for one in found.labels},
            **{f"unseen, version {one.version}": _shadow(one) for one in found.shadows},
            latency=f"{found.latency_ms:.1f} ms",
        ),
    )
    yield (
        "Request",
        _known(id=found.request, client=found.client, **{"input hash": found.input_hash}),
    )
    yield (
        f"{found.model} version {found.version}",
        _known(
            role=role and role + ("" if found.share is None else f", {found.share:.0%} of traffic"),
            phase=f"{found.phase.action}: {found.phase.reason}" if found.phase else None,
            experiment=found.experiment,
            instead=f"of version {found.fallback_from}, which failed"
            if found.fallback_from
            else None,
        ),
    )
    yield "Made by", _made_by(found)
    yield (
        "Alerts at that time",
        [(one.level, f"{one.subject}: {one.reason}") for one in found.alerts],
    )
    yield "Not known", [("", text) for text in found.missing]


def _made_by(found: Explanation) -> list[tuple[str, str]]:
    origin, scheduled = found.origin, found.dag_run
    named = f"{scheduled.dag} {scheduled.run}" if scheduled else None
    because = found.retraining
    started = f"alert {because.alert}: {because.reason}".rstrip(": ") if because else None
    facts = _known(run=found.run, **{"DAG run": named, "started by": started})
    if origin is not None:
        code = origin.git_commit + (", and changes to it" if origin.git_dirty else "")
        facts += _known(
            **{"MLflow run": origin.mlflow_run, "spec hash": origin.spec_hash},
            **{"data revision": origin.data_revision, "data hash": origin.content_hash},
            **{"git commit": code, "weights": origin.weights_hash},
        )
    return facts + _known(**found.links)


def _known(**facts: str | None) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), value) for name, value in facts.items() if value]


def _answer(found: Explanation, output: str) -> str:
    sure = found.probability.get(output)
    return f"{found.outputs[output]}" + ("" if sure is None else f" ({sure:.1%})")


def _label(label: Label) -> str:
    judged = {True: "the answer was wrong", False: "the answer was right", None: ""}[label.wrong]
    return ", ".join(
        part for part in (str(label.value), judged, label.by and f"by {label.by}") if part
    )


def _shadow(shadow: ShadowRecord) -> str:
    told = ", ".join(f"{name} {value}" for name, value in shadow.outputs.items())
    return shadow.error or told
