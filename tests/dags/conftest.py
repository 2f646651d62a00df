"""Airflow for tests: a home of its own, SQLite, migrated once a session."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.settings import get_settings
from tests.dags.pages import log_in

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from starlette.testclient import TestClient

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"

SPEC = """\
version: 1
name: NAME
description: A toy model, for tests.
data:
  path: data/toy
  table: toy.csv
  split: {stratify: label}
model:
  input_features: [{name: size, type: number}, {name: colour, type: category}]
  output_features: [{name: label, type: category}]
  trainer: {epochs: 2}
gate:
  - {metric: label.accuracy, at_least: 0.5}
"""
SEARCH = """\
tune: {trials: 3, parameters: {trainer.learning_rate: {space: uniform, lower: 0.1, upper: 0.2}}}
cross_validation: {folds: 3}
"""


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("airflow")
    values = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": str(DAGS),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:admin,vic:viewer",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "API_AUTH__JWT_SECRET": "a-secret-of-the-tests" * 4,
        "API__SECRET_KEY": "another-secret-of-the-tests" * 4,
        "LOGGING__LOGGING_LEVEL": "WARNING",
    }
    named = {f"AIRFLOW__{name}": value for name, value in values.items()}
    return {"AIRFLOW_HOME": str(home), **named}


@pytest.fixture(autouse=True)
def own_airflow(
    airflow_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Each test has a project and home of its own, and sees none of the developer's settings."""
    for name in [name for name in os.environ if name.startswith(("MODELYARD_", "AIRFLOW_"))]:
        monkeypatch.delenv(name)
    for name, value in airflow_environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "project" / "model_specs").mkdir(parents=True)
    monkeypatch.setenv("MODELYARD_PROJECT", str(tmp_path / "project"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(DAGS), str(ROOT / "plugins")])
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def migrated(airflow_environment: dict[str, str]) -> None:
    """Airflow's database, at its newest revision."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in airflow_environment.items():
            patch.setenv(name, value)
        from airflow.utils.db import initdb

        initdb()


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    return tmp_path / "project" / "model_specs"


@pytest.fixture
def write_spec(specs: Path) -> Callable[..., Path]:
    """Write a good spec; `search` adds tuning and cross-validation."""

    def write(
        name: str = "toy", *, search: bool = False, file: str | None = None, more: str = ""
    ) -> Path:
        path = specs / (file or f"{name}.yaml")
        path.write_text(SPEC.replace("NAME", name) + (SEARCH if search else "") + more)
        return path

    return write


@pytest.fixture
def bag() -> Callable[[], "DagBag"]:
    """Parse all DAG files as Airflow's DAG processor does."""

    def parse() -> "DagBag":
        from airflow.dag_processing.dagbag import BundleDagBag

        get_settings.cache_clear()
        parsed = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")
        assert not parsed.import_errors
        return parsed

    return parse


@pytest.fixture(scope="session")
def server(
    airflow_environment: dict[str, str],
    migrated: None,  # noqa: ARG001 - in this order
) -> Iterator["TestClient"]:
    """Airflow's whole api-server with the plugin; nobody is logged in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in airflow_environment.items():
            patch.setenv(name, value)
        patch.syspath_prepend(airflow_environment["AIRFLOW__CORE__PLUGINS_FOLDER"])
        from airflow.api_fastapi.app import create_app
        from starlette.testclient import TestClient

        app = create_app("core")
    with TestClient(app, base_url="http://testserver") as client:
        yield client


@pytest.fixture
def viewer(server: "TestClient") -> Iterator["TestClient"]:
    """The server, for somebody who may look only."""
    yield from _as("vic", server)


@pytest.fixture
def admin(server: "TestClient") -> Iterator["TestClient"]:
    """The server, for somebody who may do all."""
    yield from _as("ada", server)


def _as(user: str, server: "TestClient") -> Iterator["TestClient"]:
    log_in(server, user)
    yield server
    del server.headers["Authorization"]
    server.cookies.clear()
