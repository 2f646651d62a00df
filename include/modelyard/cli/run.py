"""`modelyard run` and `modelyard stage`: make a model here, stage by stage."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from modelyard.cli.output import AsJson, err, out, print_json, print_table
from modelyard.errors import UsageError
from modelyard.runs import Run, begin, new_run_id
from modelyard.settings import get_settings
from modelyard.spec.load import load_spec, resolve
from modelyard.spec.overrides import parse
from modelyard.stages import STAGES, order
from modelyard.workspace import Workspace

STEP = re.compile(r"\b(?:epoch|trial|fold) (\d+)/(\d+)\b(.*)")

SpecName = Annotated[str, typer.Argument(help="A spec's name, or the path of its file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one key of the spec: model.trainer.epochs=5. Repeatable."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Train again even if nothing changed.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("run")(run_command)
    app.command("stage")(stage_command)


def run_command(  # noqa: PLR0913, PLR0917 - one parameter an option
    spec: SpecName,
    overrides: Overrides = None,
    revision: Annotated[
        str | None, typer.Option(help="Data of this git revision instead of the spec's.")
    ] = None,
    tune: Annotated[
        bool | None, typer.Option(help="Search hyperparameters, or not, whatever the spec says.")
    ] = None,
    cross_validate: Annotated[
        bool | None, typer.Option(help="Train on folds, or not, whatever the spec says.")
    ] = None,
    fresh: Fresh = False,
    deploy: Annotated[
        bool | None,
        typer.Option(help="Serve the new version. Default: if a Ray Serve is configured."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model: pull, validate, transform, split, build, train, evaluate, register, deploy.

    Example: [bold]modelyard run digits-cnn --set model.trainer.epochs=5[/]
    """
    workspace = Workspace(get_settings())
    loaded = load_spec(resolve(spec, workspace.settings.specs))
    run = begin(
        loaded,
        new_run_id(loaded),
        workspace,
        revision=revision,
        tune=tune,
        cross_validate=cross_validate,
        overrides=parse(overrides or []),
        fresh=fresh,
    )
    serve = workspace.settings.serve_api is not None if deploy is None else deploy
    stages = [stage for stage in order(run.spec) if serve or stage != "deploy"]
    artifacts = _go_through(stages, run, workspace)
    if as_json:
        print_json({"run": run.id, **artifacts})
    else:
        _summary(run, artifacts, workspace)


def stage_command(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(STAGES)}.")],
    spec: SpecName,
    overrides: Overrides = None,
    write: Annotated[
        Path | None,
        typer.Option(
            help="Write the artifact, metrics and plots into this folder, as dvc.yaml does."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run one stage of a spec, and before it whatever it needs that is not made yet.

    Example: [bold]modelyard stage validate digits-cnn[/]
    """
    if name not in STAGES:
        message = f"there is no stage {name}"
        raise UsageError(message, hint=f"stages: {', '.join(STAGES)}")
    workspace = Workspace(get_settings())
    loaded = load_spec(resolve(spec, workspace.settings.specs))
    run = begin(loaded, new_run_id(loaded), workspace, overrides=parse(overrides or []))
    stages = order(run.spec)
    if name not in stages:
        message = f"{loaded.name} has no section for {name}"
        raise UsageError(message)
    artifact = _go_through(stages[: stages.index(name) + 1], run, workspace)[name]
    if write is not None:
        from modelyard.cli import pipeline

        pipeline.write(artifact, name, write, workspace)
    if as_json or write is None:
        print_json(artifact)


def _go_through(
    stages: tuple[str, ...] | list[str], run: Run, workspace: Workspace
) -> dict[str, JsonValue]:
    from modelyard.compute import run_stage

    artifacts: dict[str, JsonValue] = {}
    with _bars() as bars:
        for stage in stages:
            with bars.stage(stage):
                artifacts[stage] = run_stage(stage, run, artifacts, workspace)
    return artifacts


class _Bars(logging.Handler):
    """One line a stage; a bar where the log counts epochs, trials or folds."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task: TaskID | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._task = self._progress.add_task(name, total=None, note="")
        began = time.monotonic()
        yield
        self._progress.remove_task(self._task)
        self._progress.console.print(f"[green]done[/] {name:<15} {time.monotonic() - began:6.1f} s")

    def emit(self, record: logging.LogRecord) -> None:
        match = STEP.search(record.getMessage())
        if match and self._task is not None:
            done, total, note = match.groups()
            self._progress.update(self._task, completed=int(done), total=int(total), note=note)


@contextmanager
def _bars() -> Iterator[_Bars]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        handler = _Bars(progress)
        logger = logging.getLogger("modelyard")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield handler
        finally:
            logger.removeHandler(handler)


def _summary(run: Run, artifacts: dict[str, JsonValue], workspace: Workspace) -> None:
    from modelyard.artifacts import Evaluation, RegisteredVersion

    evaluation = Evaluation.model_validate(artifacts["evaluate"])
    version = RegisteredVersion.model_validate(artifacts["register"])
    _told_before(artifacts, evaluation.metrics)
    print_table(["metric on the test split", "value"], sorted(evaluation.metrics.items()))
    out.print(f"{version.model} version {version.version} ({version.alias or 'no alias'})")
    out.print(f"run  {run.id}")
    out.print(f"log  {workspace.log_file(run.id)}")


def _told_before(artifacts: dict[str, JsonValue], metrics: Mapping[str, float]) -> None:
    """Say what the search and the folds found, where there were any."""
    from modelyard.artifacts import CrossValidation, TunedModel

    if "tune" in artifacts:
        tuned = TunedModel.model_validate(artifacts["tune"])
        values = sorted(tuned.best.parameters.items())
        title = f"best of {len(tuned.trials)} trials: {tuned.metric} {tuned.best.score:.4g}"
        print_table([title, "value"], [(key, str(value)) for key, value in values])
    if "cross_validate" in artifacts:
        folds = CrossValidation.model_validate(artifacts["cross_validate"])
        shown = [name for name in sorted(metrics) if name in folds.mean]
        rows = [(name, folds.mean[name], folds.std[name]) for name in shown]
        print_table([f"metric on {len(folds.folds)} folds", "mean", "deviation"], rows)
