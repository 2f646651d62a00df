"""A home of its own for each test, with MLflow's tables made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelyard.tracking.client import connect
from modelyard.workspace import Workspace
from tests.tracking.samples import workspace_in


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs; making its tables takes seconds."""
    workspace = workspace_in(tmp_path_factory.mktemp("template"))
    connect(workspace.settings)
    return workspace.home / "mlflow" / "mlflow.db"


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Workspace:
    """A home in which nothing was tracked yet."""
    workspace = workspace_in(tmp_path)
    folder = workspace.home / "mlflow"
    folder.mkdir(parents=True)
    shutil.copy(empty_database, folder)
    return workspace
