"""`modelyard db` says what state a database is in, and changes nothing unless asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from modelyard.cli.db import app
from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard.store.engine import WRITE, make_engine, parse_url
from modelyard.store.migrate import head
from modelyard.store.state import read_state, upgrade_database


def test_a_new_database_is_empty_and_stays_so(url: str) -> None:
    state = read_state(url)
    assert (state.state, state.revision, state.newest) == ("empty", None, head())
    assert read_state(url).state == "empty"


def test_looking_makes_no_file(sqlite_url: str) -> None:
    read_state(sqlite_url)
    assert not Path(sqlite_url.removeprefix("sqlite:///")).parent.exists()


def test_an_upgraded_database_is_current(url: str) -> None:
    state = upgrade_database(url)
    assert (state.state, state.revision) == ("current", head())
    assert state.in_words == f"revision {head()}, up to date"


def test_a_database_of_a_newer_modelyard_is_told_apart(url: str) -> None:
    open_store(url).close()
    engine = make_engine(parse_url(url))
    with engine.connect().execution_options(**WRITE) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    assert read_state(url).state == "newer"


def test_the_commands_say_where_and_what(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_DATABASE_URL", url)
    get_settings.cache_clear()
    before = CliRunner().invoke(app, ["status", "--json"])
    assert json.loads(before.output)["state"] == "empty"
    done = CliRunner().invoke(app, ["upgrade"])
    assert "up to date" in done.output
    after = CliRunner().invoke(app, ["status"])
    assert "up to date" in after.output
    get_settings.cache_clear()


def test_the_password_is_not_shown(postgres_url: str) -> None:
    password = parse_url(postgres_url).password
    assert password
    assert password not in read_state(postgres_url).model_dump_json()
