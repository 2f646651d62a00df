"""Drills: kill MLflow, the Ray worker and the Airflow worker in the middle of a training.

All in one training, which takes most of a drill's time; `make nightly` does each alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modelyard.runs import safe_run_id
from modelyard.stack import environment, processes
from modelyard.stack.airflow_api import RunState
from modelyard.tracking import registry
from tests.e2e.conftest import Yard

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
NAME = "digits-cnn"
DAG = f"train_{NAME}"
EPOCHS = (2, 5, 8)
"""When each victim is killed, of 40."""


def _members(yard: Yard, service: str) -> list[psutil.Process]:
    return processes.members(environment.stack_id(yard.settings), service)


def _titles(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""


def airflow_worker(yard: Yard) -> list[psutil.Process]:
    """The processes below the scheduler that run the task."""
    scheduler = {process.pid: process for process in _members(yard, "airflow-scheduler")}
    (root,) = [process for process in scheduler.values() if process.ppid() not in scheduler]
    (worker, *_) = [
        child
        for child in root.children()
        if any(True for _ in child.children())  # the one that supervises a task now
    ]
    return [worker, *worker.children(recursive=True)]


def ray_worker(yard: Yard) -> list[psutil.Process]:
    """The process that trains."""
    return [process for process in _members(yard, "ray") if "ray::Worker" in _titles(process)]


def mlflow_server(yard: Yard) -> list[psutil.Process]:
    """MLflow, with all its processes."""
    return _members(yard, "mlflow")


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param([mlflow_server, ray_worker, airflow_worker], id="all"),
        *(
            pytest.param([victim], id=victim.__name__, marks=pytest.mark.nightly)
            for victim in (mlflow_server, ray_worker, airflow_worker)
        ),
    ],
)
def test_a_run_ends_right_when_a_part_is_killed_and_registers_once(
    yard: Yard, victims: list[Callable[[Yard], list[psutil.Process]]]
) -> None:
    yard.api.wait_for_dag(DAG, 120)
    run = yard.api.trigger(DAG, {"fresh": True}, note="drill")
    log = yard.settings.home / "runs" / safe_run_id(f"{NAME}.{run}") / "run.log"
    left = dict(zip(EPOCHS, victims, strict=False))
    for progress in yard.api.follow(DAG, run, 600):
        for epoch in [epoch for epoch in left if _reached(log, epoch)]:
            found = left.pop(epoch)(yard)
            assert found
            for process in found:
                process.kill()
        last = progress
    assert not left, "the training was over before everything was killed"
    assert last.state is RunState.SUCCESS, last
    made = [
        version
        for version in registry.versions(yard.client, NAME)
        if version.run == safe_run_id(f"{NAME}.{run}")
    ]
    assert len(made) == 1
    _wait_until_healthy(yard)


def _reached(log: Path, epoch: int) -> bool:
    return log.exists() and re.search(rf"epoch {epoch}/", log.read_text()) is not None


def _wait_until_healthy(yard: Yard) -> None:
    """The supervisor brings back what was killed."""
    import json

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if json.loads(yard.modelyard("status", "--json").stdout)["healthy"]:
            return
    pytest.fail(yard.modelyard("status").stdout)
