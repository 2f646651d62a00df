"""One real stack for all end-to-end tests: its own home, any free ports, stopped at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelyard.settings import Settings, get_settings
from modelyard.stack import environment, processes, stack, state
from modelyard.stack.airflow_api import AirflowApi
from modelyard.stack.keys import ADMIN
from modelyard.stack.ports import is_free
from tests.e2e.screenshots import Airflow

PROJECT = Path(__file__).parents[2]
COMMAND_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Yard:
    """A running stack, and the command line that belongs to it."""

    settings: Settings
    running: stack.Running
    api: AirflowApi

    @property
    def client(self) -> Settings:
        """The settings of a process that uses the stack."""
        return self.running.client_settings(self.settings)

    @property
    def airflow(self) -> Airflow:
        """The web UI, for a browser."""
        return Airflow(self.running.ports.url("airflow"), ADMIN, self.running.keys.password)

    def modelyard(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user in another terminal does."""
        return modelyard(self.settings.home, *arguments, project=self.settings.project)


def modelyard(
    home: Path, *arguments: str, project: Path = PROJECT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the `modelyard` command on a home folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    return subprocess.run(
        [Path(sys.executable).with_name("modelyard"), *arguments],
        env={**own, "MODELYARD_HOME": str(home), "COLUMNS": "160", **variables},
        cwd=project,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with started(tmp_path_factory.mktemp("yard"), PROJECT) as running:
        yield running


@contextmanager
def started(home: Path, project: Path, **variables: str) -> Iterator[Yard]:
    """Start a stack, and see that stopping it leaves nothing."""
    get_settings.cache_clear()
    settings = Settings.model_validate({"project": project, "MODELYARD_HOME": home})
    up = modelyard(home, "up", "--free-ports", project=project, **variables)
    try:
        assert up.returncode == 0, up.stderr
        running = stack.running(settings)
        assert running is not None
        with AirflowApi(running.ports.url("airflow"), running.keys.password) as api:
            yield Yard(settings, running, api)
    finally:
        memory = shared_memory()
        down = modelyard(home, "down", project=project)
    assert down.returncode == 0, down.stderr
    # Stopping leaves nothing.
    assert processes.members(environment.stack_id(settings)) == []
    assert not state.leftovers(settings)
    assert all(is_free(port) for port in running.ports.model_dump().values())
    assert shared_memory() <= memory
    assert not stack.down(settings)


def shared_memory() -> set[Path]:
    """What Ray's object store and Python's multiprocessing name their files."""
    folder = Path("/dev/shm")
    return {*folder.glob("plasma*"), *folder.glob("pym-*")}


def wait_until(holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
