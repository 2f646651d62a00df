"""The whole way once, with real data: train through Airflow, serve, predict, look for drift."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from modelyard.artifacts import SplitData
from modelyard.errors import ServingError, StackError
from modelyard.settings import Settings
from modelyard.spec.load import load_spec, resolve
from modelyard.spec.models import Spec
from modelyard.stack.airflow_api import AirflowApi, Progress, RunState
from modelyard.stack.dag_progress import following
from modelyard.stack.samples import Answer, Sample, altered, read_samples, send
from modelyard.stack.stack import Running
from modelyard.workspace import Workspace

SAMPLES = 96
SHOWN = 10
PARSE_SECONDS = 120.0
RUN_SECONDS = 1200.0
LOGGED_SECONDS = 30.0
POLL_SECONDS = 0.2
LAST_LINES = 25


@dataclass(frozen=True, slots=True)
class Demo:
    """One demonstration: what it needs everywhere."""

    settings: Settings
    spec: Spec
    api: AirflowApi
    out: Console

    @property
    def dag(self) -> str:
        """The DAG of the spec."""
        return f"train_{self.spec.name}"


def run_demo(settings: Settings, running: Running, spec_name: str, out: Console) -> None:
    """Go the whole way on a running stack, saying what happens.

    Raises:
        ModelyardError: a step failed; its text says which, and shows the end of the task's log.
    """
    spec = load_spec(resolve(spec_name, settings.specs))
    client = running.client_settings(settings)
    with AirflowApi(running.ports.url("airflow"), running.keys.password) as api:
        demo = Demo(client, spec, api, out)
        run = _train(demo)
        split = SplitData.model_validate(api.result(demo.dag, run, SplitData.stage))
    samples = read_samples(spec, split, Workspace(client), SAMPLES)
    reports = [
        _predict_and_watch(demo, "test data as it is", samples),
        _predict_and_watch(demo, "the same, changed on purpose", altered(spec, samples)),
    ]
    _print_places(demo, running, run, reports)


def _train(demo: Demo) -> str:
    """Train through Airflow's REST interface and return the run's id."""
    demo.out.rule(f"train {demo.spec.name} through Airflow", align="left")
    demo.api.wait_for_dag(demo.dag, PARSE_SECONDS)
    demo.api.unpause(demo.dag)
    run = demo.api.trigger(demo.dag, _short(demo.spec), note="modelyard demo")
    demo.out.print(f"run {run} of DAG {demo.dag}", markup=False)
    last: Progress | None = None
    with following(demo.out) as show:
        for progress in demo.api.follow(demo.dag, run, RUN_SECONDS):
            show(progress)
            last = progress
    if last is None or last.state is not RunState.SUCCESS:
        raise _failure(demo, run, last)
    return run


def _short(spec: Spec) -> dict[str, JsonValue]:
    """Leave the search and the folds out: they train many times over, which shows nothing more."""
    switches: dict[str, JsonValue] = {"cross_validate": False}
    return switches if spec.tune is None else {**switches, "tune": False}


def _failure(demo: Demo, run: str, last: Progress | None) -> StackError:
    failed = [task for task in last.tasks if task.state == "failed"] if last else []
    lines = [
        f"    {line}"
        for task in failed[:1]
        for line in demo.api.task_log(demo.dag, run, task)[-LAST_LINES:]
    ]
    names = ", ".join(task.task_id for task in failed) or "no task"
    log = Workspace(demo.settings).run_folder(f"{demo.spec.name}.{run}").parent
    text = "\n".join([f"the run {run} failed at {names}", *lines])
    return StackError(text, hint=f"the runs' logs are below {log}")


def _predict_and_watch(demo: Demo, title: str, samples: Sequence[Sample]) -> Path:
    """Send samples, show the answers, and compare what came in with what the model learned from."""
    demo.out.rule(f"predict: {title}", align="left")
    began = time.monotonic()
    answers = list(send(demo.settings, demo.spec.name, samples))
    seconds = time.monotonic() - began
    demo.out.print(_table(demo.spec, answers[:SHOWN]))
    demo.out.print(f"{_score(answers)}{len(answers)} predictions in {seconds:.1f} s")
    _wait_until_logged(demo.settings, [answer.id for answer in answers])
    return _look_for_drift(demo, len(answers))


def _score(answers: Sequence[Answer]) -> str:
    """Say how many labels were right; numbers and masks are not simply right or wrong."""
    judged = [answer.right for answer in answers if answer.right is not None]
    if not judged:
        return ""
    return f"{sum(judged)} of {len(judged)} right ({sum(judged) / len(judged):.1%}), "


def _table(spec: Spec, answers: Sequence[Answer]) -> Table:
    table = Table(header_style="bold")
    table.add_column("sent")
    for feature in spec.outputs:
        for head in (f"{feature.name}, true", "predicted", "probability"):
            table.add_column(head, justify="right")
    table.add_column("version", justify="right")
    table.add_column("")
    for answer in answers:
        cells = [answer.sample.name]
        for name, truth in answer.sample.truth.items():
            probability = answer.probabilities[name]
            cells += [truth, answer.predictions[name]]
            cells.append("-" if probability is None else f"{probability:.3f}")
        table.add_row(*cells, str(answer.version), "[red]wrong[/]" if answer.right is False else "")
    return table


def _wait_until_logged(settings: Settings, ids: Sequence[str]) -> None:
    """Wait for the last prediction to be in the database; they are written in the background."""
    from modelyard.store.database import open_store

    deadline = time.monotonic() + LOGGED_SECONDS
    with open_store(settings.database_url) as store:
        while any(store.prediction(one) is None for one in (ids[0], ids[-1])):
            if time.monotonic() > deadline:
                message = "the endpoint answered, but its predictions did not reach the database"
                raise ServingError(message, hint="see make logs ray")
            time.sleep(POLL_SECONDS)


def _look_for_drift(demo: Demo, window: int) -> Path:
    from modelyard.monitoring.reports import headline
    from modelyard.watch import run_drift

    report = run_drift(demo.settings, demo.spec.name, window=window)
    demo.out.print(f"drift: {headline(report.check)}", markup=False)
    for verdict in report.check.verdicts:
        if verdict.drifted:
            effect = "" if verdict.effect is None else f", effect {verdict.effect:.2f}"
            demo.out.print(f"  {verdict.column}{effect}", markup=False)
    return report.html


def _print_places(demo: Demo, running: Running, run: str, reports: Sequence[Path]) -> None:
    ports = running.ports
    demo.out.rule("where to look", align="left")
    places = {
        "run in Airflow": f"{ports.url('airflow')}/dags/{demo.dag}/runs/{run}",
        "MLflow": ports.url("mlflow"),
        "Ray": ports.url("ray_dashboard"),
        "endpoint": f"{demo.settings.endpoint}/docs",
        "drift reports": str(reports[0]),
    }
    for title, place in places.items():
        demo.out.print(f"{title + ':':<16}{place}", markup=False)
    for report in reports[1:]:
        demo.out.print(f"{'':<16}{report}", markup=False)
