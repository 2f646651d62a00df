"""Both engines: SQLite in a temporary folder, PostgreSQL as a server of the test session's own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord
from tests.store.postgres import dsn, running_postgres

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """Start a PostgreSQL server in a temporary folder on a free port."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: URL) -> str:
    """An empty PostgreSQL database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(dsn(postgres), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A path to an SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'home' / 'modelyard.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database on each engine in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An open store on each engine in turn."""
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def record() -> Callable[..., PredictionRecord]:
    """Make the prediction number `number`, one a second, with any field replaced."""

    def make(number: int, **changes: object) -> PredictionRecord:
        fields: dict[str, object] = {
            "id": f"p{number:06d}",
            "at": START + timedelta(seconds=number),
            "model": "digits-cnn",
            "version": 1,
            "request": f"r{number}",
            "inputs": {f"x{column}": number + column / 8 for column in range(10)},
            "outputs": {"label": "7"},
            "probability": {"label": 0.75},
            "latency_ms": 1.5,
            "run": None,
        }
        return PredictionRecord.model_validate({**fields, **changes})

    return make
