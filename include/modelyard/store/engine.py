"""Connections to SQLite and PostgreSQL that behave alike, and errors without passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import JsonValue
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from modelyard.errors import StoreError

BUSY_MS: Final = 30_000
CONNECT_S: Final = 10
WRITE: Final = {"modelyard_write": True}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_url(url: str) -> URL:
    """Read a database URL, with psycopg 3 as PostgreSQL's driver and SQLite only in a file."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        message = "the database URL cannot be read"
        hint = "such as sqlite:////folder/modelyard.db or postgresql://user:password@host/name"
        raise StoreError(message, hint=hint) from error
    kind = parsed.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        message = f"{kind} is not a database that Modelyard knows"
        raise StoreError(message, hint="use sqlite or postgresql")
    if parsed.database in {None, "", ":memory:"}:
        message = "an SQLite database in memory would be another one in each thread"
        raise StoreError(message, hint="name a file, such as sqlite:////folder/modelyard.db")
    return parsed.set(drivername="sqlite")


def describe(url: URL) -> str:
    """Name the database for people, without any password."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite {url.database}"
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL {url.host or 'localhost'}{port}/{url.database or ''}"


def make_engine(url: URL) -> Engine:
    """Make an engine; nothing is connected yet."""
    with translated(url):
        if url.get_backend_name() == "sqlite":
            return _sqlite(url)
        return create_engine(
            url,
            connect_args={"connect_timeout": CONNECT_S, "application_name": "modelyard"},
            hide_parameters=True,
            json_serializer=to_json,
            json_deserializer=orjson.loads,
            pool_pre_ping=True,
        )


def _sqlite(url: URL) -> Engine:
    Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_MS / 1000},
        hide_parameters=True,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late to make a read and a write one step.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_MS}", "foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer is refused without waiting; a writer from the start waits its turn.
    writes = connection.get_execution_options().get("modelyard_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def to_json(value: JsonValue) -> str:
    """Write JSON that both engines take: NaN and infinities become null, NUL a replacement mark."""
    try:
        written = orjson.dumps(value).decode()
    except TypeError:
        return orjson.dumps(_storable(value)).decode()
    return orjson.dumps(_storable(value)).decode() if "\\u0000" in written else written


def _storable(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {str(_storable(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    # PostgreSQL would take a longer number, SQLite's reader too; orjson stops at 64 bits.
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return value


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn SQLAlchemy's errors into `StoreError`, with the database's name and no password."""
    try:
        yield
    except SQLAlchemyError as error:
        message = f"{describe(url)}: {_scrub(_reason(error), url)}"
        raise StoreError(message, hint=_hint(error, url)) from error
    except OSError as error:
        message = f"{describe(url)}: {_scrub(str(error), url)}"
        raise StoreError(message) from error


def _reason(error: SQLAlchemyError) -> str:
    if isinstance(error, DBAPIError) and error.orig is not None:
        lines = str(error.orig).strip().splitlines()
        return " ".join(line.strip() for line in lines[:2]) or type(error.orig).__name__
    if isinstance(error, NoSuchModuleError):
        return "the database's driver is not installed"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _scrub(text: str, url: URL) -> str:
    secrets = [url.password, *(url.query.get(key) for key in ("password", "sslpassword"))]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    return text


def _hint(error: SQLAlchemyError, url: URL) -> str | None:
    if not isinstance(error, DBAPIError):
        return None
    if url.get_backend_name() == "sqlite":
        return "another process holds it" if "locked" in str(error.orig) else None
    if error.connection_invalidated or "connect" in str(error.orig):
        return "is the server up, and is MODELYARD_DATABASE_URL right?"
    return None
