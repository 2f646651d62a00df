"""The tables that migrations make are those that the code expects, made once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from modelyard.errors import StoreError
from modelyard.store import migrate
from modelyard.store.database import open_store
from modelyard.store.engine import WRITE, make_engine, parse_url
from modelyard.store.tables import Base


def test_models_and_migrations_agree(url: str) -> None:
    open_store(url).close()
    engine = make_engine(parse_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_newest_revision_is_alembics_head() -> None:
    scripts = ScriptDirectory.from_config(migrate.alembic_config())
    assert scripts.get_current_head() == migrate.head()
    assert len(list(scripts.walk_revisions())) == len(migrate.revisions())


def test_a_database_at_head_is_opened_without_alembic(sqlite_url: str) -> None:
    open_store(sqlite_url).close()
    program = (
        "import sys; from modelyard.store.database import open_store;"
        "open_store(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sqlite_url], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_four_processes_may_open_a_new_database_at_once(url: str) -> None:
    program = (
        "import sys; from modelyard.store.database import open_store;"
        "sys.stdin.readline(); open_store(sys.argv[1]).close(); print('opened')"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120) for process in processes]
    assert [(out.strip(), error) for out, error in answers] == [("opened", "")] * 4
    with open_store(url) as store:
        assert store.variants() == []


def test_a_database_of_a_newer_modelyard_is_refused(url: str) -> None:
    open_store(url).close()
    engine = make_engine(parse_url(url))
    with engine.connect().execution_options(**WRITE) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"at revision 9999.*newer Modelyard"):
        open_store(url)


def test_a_migration_that_fails_leaves_nothing_behind(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(parse_url(url))
    real = migrate._run

    def broken(connection: object) -> None:
        real(connection)  # type: ignore[arg-type]
        message = "the power went"
        raise RuntimeError(message)

    monkeypatch.setattr(migrate, "_run", broken)
    with pytest.raises(RuntimeError):
        open_store(url)
    assert inspect(engine).get_table_names() == []
    monkeypatch.undo()
    open_store(url).close()
    assert migrate.current(engine) == migrate.head()
    engine.dispose()


def test_every_revision_can_be_taken_back(url: str) -> None:
    open_store(url).close()
    engine = make_engine(parse_url(url))
    with engine.connect().execution_options(**WRITE) as connection, connection.begin():
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()


def test_sqlite_writes_ahead_so_that_readers_do_not_wait(sqlite_url: str) -> None:
    open_store(sqlite_url).close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_alembic_alone_is_told_what_to_do_instead() -> None:
    with pytest.raises(SystemExit, match="modelyard db upgrade"):
        command.upgrade(migrate.alembic_config(), "head")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are my notes, not a database\n" * 100)
    with pytest.raises(StoreError, match=r"notes\.db.*not a database"):
        open_store(f"sqlite:///{path}")
