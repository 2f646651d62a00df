"""Bring a database to the newest revision, once, however many processes open it together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, inspect, text

from modelyard.errors import StoreError
from modelyard.store.engine import WRITE, describe, translated

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCK_S: Final = 120
# Any number will do that no other program takes on the same PostgreSQL database.
ADVISORY_LOCK: Final = 0x6D6F64656C796172


def revisions() -> tuple[str, ...]:
    """List the revisions that this Modelyard knows, oldest first, without importing Alembic."""
    files = sorted((MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    return tuple(file.name.partition("_")[0] for file in files)


def head() -> str:
    """Return the newest revision that this Modelyard knows."""
    return revisions()[-1]


def current(engine: Engine) -> str | None:
    """Return the database's revision; None for an empty one."""
    with translated(engine.url), engine.connect() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(engine: Engine) -> str | None:
    """Bring the database to `head`; return the revision that it had before."""
    before = current(engine)
    _refuse_newer(engine, before)
    if before == head():
        return before
    with translated(engine.url), _alone(engine) as connection:
        before = _current(connection)
        if before != head():
            _run(connection)
    return before


def _refuse_newer(engine: Engine, found: str | None) -> None:
    if found is None or found in revisions():
        return
    message = f"{describe(engine.url)} is at revision {found}, this Modelyard knows {head()}"
    raise StoreError(message, hint="it was made by a newer Modelyard; use that one")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Hold a transaction that no other migration runs beside."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            yield connection
        return
    with _file_lock(engine):
        # WAL cannot be switched on inside a transaction; once on, it stays in the file.
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        with engine.connect().execution_options(**WRITE) as connection, connection.begin():
            yield connection


@contextmanager
def _file_lock(engine: Engine) -> Iterator[None]:
    lock = FileLock(f"{engine.url.database}.lock", timeout=LOCK_S)
    try:
        with lock:
            yield
    except Timeout as error:
        message = f"{describe(engine.url)}: another process has been migrating it for {LOCK_S} s"
        raise StoreError(message, hint="is one stuck?") from error


def alembic_config() -> Config:
    """Return Alembic's configuration, made in code so that it works from anywhere."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _run(connection: Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
