"""A PostgreSQL server of one's own, in a temporary folder on a free port."""

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL


def _programs() -> Path:
    on_path = shutil.which("postgres")
    if on_path and shutil.which("initdb"):
        return Path(on_path).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    if not folders:
        message = "PostgreSQL is not installed: run scripts/install_postgres.sh"
        raise RuntimeError(message)
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
            psycopg.connect(dsn(url), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    message = f"PostgreSQL did not start:\n{log.read_text()}"
    raise RuntimeError(message)


def dsn(url: URL) -> str:
    """Spell the address as psycopg reads it, password and all."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def running_postgres(fsync: str = "off") -> Iterator[URL]:
    """Start a server for the block; raise RuntimeError if that fails."""
    programs, user, password = _programs(), _owner(), secrets.token_urlsafe(16)
    folder = Path(tempfile.mkdtemp(prefix="modelyard-postgres-"))
    try:
        _initialise(programs, folder, password, user)
        port, log = _free_port(), folder / "log"
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": fsync,
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
