"""Both engines: SQLite in a temporary folder, PostgreSQL as a server of the test session's own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _programs() -> Path:
    on_path = shutil.which("postgres")
    if on_path and shutil.which("initdb"):
        return Path(on_path).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    if not folders:
        pytest.fail("PostgreSQL is not installed: run scripts/install_postgres.sh", pytrace=False)
    return folders[-1]


def _owner() -> str | None:
    """PostgreSQL refuses to run as root; name the account that runs it then."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _initialise(programs: Path, folder: Path, password: str, user: str | None) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(secret, user)
    subprocess.run(
        [
            programs / "initdb",
            "--pgdata",
            folder / "data",
            "--username=modelyard",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        cwd=folder,
        capture_output=True,
        **_as(user),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], url: URL, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(_dsn(url), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}", pytrace=False)


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """Start a PostgreSQL server in a temporary folder on a free port."""
    programs, user, password = _programs(), _owner(), secrets.token_urlsafe(16)
    folder = Path(tempfile.mkdtemp(prefix="modelyard-postgres-"))
    try:
        _initialise(programs, folder, password, user)
        port, log = _free_port(), folder / "log"
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "Asia/Tokyo",  # a zone that is not UTC, so that mix-ups show
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with log.open("wb") as stream:
            server = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *arguments],
                cwd=folder,
                stdout=stream,
                stderr=stream,
                **_as(user),  # type: ignore[call-overload]
            )
        try:
            url = URL.create(
                "postgresql", "modelyard", password, "127.0.0.1", port, database="postgres"
            )
            _wait(server, url, log)
            yield url
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing of it is needed again
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: URL) -> str:
    """An empty PostgreSQL database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(_dsn(postgres), autocommit=True) as connection:
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
