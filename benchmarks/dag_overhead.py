"""What Airflow, Ray, MLflow and the checks add to a training: a DAG run against a bare Ludwig script.

    .venv/bin/python benchmarks/dag_overhead.py [--pairs 3] [--spec digits-cnn]

Starts the whole stack on free ports in a temporary home, trains once to warm everything, then runs
the DAG (with `fresh`, so that it trains again) and `bare_ludwig.py` in turn, with the same resolved
configuration, rows, seed and epochs. Prints each wall-clock time and the ratio DAG / script pair by
pair: to the end of `register` (what the script's work corresponds to, plus tracking and registry),
and to the end of `deploy` (the new version answers requests).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.artifacts import BuiltModel, SplitData
from modelyard.settings import Settings, get_settings
from modelyard.spec.load import load_spec, resolve
from modelyard.stack import stack
from modelyard.stack.airflow_api import AirflowApi
from modelyard.stack.ports import read_ports
from modelyard.workspace import Workspace

RUN_SECONDS = 1800.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--spec", default="digits-cnn")
    options = parser.parse_args()
    project = get_settings().project
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as home:
        settings = Settings.model_validate({"project": project, "MODELYARD_HOME": home})
        with running(settings) as up:
            pairs = measure(settings, up, options.spec, options.pairs)
    show(pairs)


@contextmanager
def running(settings: Settings) -> Iterator[stack.Running]:
    """Start the stack, and stop it whatever happens."""
    try:
        yield stack.up(settings, read_ports(any_free=True), lambda _event: None)
    finally:
        stack.down(settings)


def measure(
    settings: Settings, up: stack.Running, name: str, pairs: int
) -> list[tuple[float, float, float]]:
    """Return seconds to `register`, to `deploy`, and of the script, for each pair."""
    spec = load_spec(resolve(name, settings.specs))
    dag = f"train_{name}"
    workspace = Workspace(settings)
    with AirflowApi(up.ports.url("airflow"), up.keys.password) as api:
        api.wait_for_dag(dag, 120)
        first, _, _ = run_dag(api, dag, fresh=False)
        split = SplitData.model_validate(api.result(dag, first, "split"))
        built = BuiltModel.model_validate(api.result(dag, first, "build"))
        script = [
            *(sys.executable, str(Path(__file__).with_name("bare_ludwig.py"))),
            *(str(workspace.path(part)) for part in (built.config, split.table, split.folder)),
            str(spec.seed),
        ]
        results = []
        for number in range(pairs):
            _, registered, deployed = run_dag(api, dag, fresh=True)
            began = time.monotonic()
            subprocess.run(script, check=True, capture_output=True)
            results.append((registered, deployed, time.monotonic() - began))
            print(f"pair {number + 1}: {results[-1]}", file=sys.stderr)
        return results


def run_dag(api: AirflowApi, dag: str, *, fresh: bool) -> tuple[str, float, float]:
    """Trigger the DAG as the web page does; return the run, and seconds to `register` and to its end.

    Seen as a person sees it, by asking Airflow twice a second.
    """
    began = time.monotonic()
    run = api.trigger(dag, {"fresh": fresh})
    registered = None
    for progress in api.follow(dag, run, RUN_SECONDS):
        states = {task.task_id: task.state for task in progress.tasks}
        if registered is None and states.get("register") == "success":
            registered = time.monotonic() - began
        last = progress
    if registered is None or last.state != "success":
        sys.exit(f"{dag} {run}: {last}")
    return run, registered, time.monotonic() - began


def show(pairs: list[tuple[float, float, float]]) -> None:
    """Print the table and the medians."""
    print("to register   to deploy   bare script   ratio register   ratio deploy")
    for registered, deployed, bare in pairs:
        print(
            f"{registered:9.1f} s {deployed:9.1f} s {bare:11.1f} s"
            f" {registered / bare:16.2f} {deployed / bare:14.2f}"
        )
    to_register = statistics.median(registered / bare for registered, _, bare in pairs)
    to_deploy = statistics.median(deployed / bare for _, deployed, bare in pairs)
    print(f"median ratio: {to_register:.2f} to register, {to_deploy:.2f} to deploy")


if __name__ == "__main__":
    main()
