"""URLs are understood, and what goes wrong is said without a password."""

from __future__ import annotations

import sqlite3
import traceback
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from modelyard.errors import StoreError
from modelyard.store import engine as engine_module
from modelyard.store.database import open_store
from modelyard.store.engine import describe, parse_url, translated

SECRET = "hunter2-long"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg"),
        ("sqlite:////tmp/x.db", "sqlite"),
    ],
)
def test_each_spelling_gets_the_driver_that_is_installed(given: str, driver: str) -> None:
    assert parse_url(given).drivername == driver


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "cannot be read"),
        ("not a url", "cannot be read"),
        ("postgresql://u:p@h:port/d", "cannot be read"),
        ("mysql://u:p@h/d", "mysql is not a database that Modelyard knows"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_url_that_cannot_work_is_refused(given: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        parse_url(given)


def test_a_database_is_named_without_its_password() -> None:
    url = parse_url(f"postgresql://me:{SECRET}@db.example:5433/yard?sslpassword={SECRET}")
    assert describe(url) == "PostgreSQL db.example:5433/yard"


def test_a_server_that_is_down_is_a_store_error_with_a_hint() -> None:
    with pytest.raises(StoreError, match="is the server up") as caught:
        open_store(f"postgresql://me:{SECRET}@127.0.0.1:1/yard")
    assert "PostgreSQL 127.0.0.1:1/yard" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_password_is_not_shown(postgres_url: str) -> None:
    wrong = make_url(postgres_url).set(password=SECRET).render_as_string(hide_password=False)
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        open_store(wrong)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_password_in_a_drivers_message_is_struck_out() -> None:
    url = parse_url(f"postgresql://me:{SECRET}@h/d")
    foreign = OperationalError("SELECT 1", {}, RuntimeError(f"bad dsn password={SECRET}"))
    with pytest.raises(StoreError) as caught, translated(url):
        raise foreign
    assert caught.value.message == "PostgreSQL h/d: bad dsn password=***"


def test_values_of_a_refused_row_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_MS", 50)
    path = tmp_path / "x.db"
    with open_store(f"sqlite:///{path}") as store:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"database is locked \(another process holds it\)"):
            store.move("m", [], _entry())
        blocker.close()


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"SQLite .*file/x\.db"):
        open_store(f"sqlite:///{tmp_path}/file/x.db")


def _entry() -> object:
    from modelyard.store.records import LedgerEntry

    return LedgerEntry(model="m", action="a", before={}, after={}, reason=SECRET, by="b")
