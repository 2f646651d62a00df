"""A PostgreSQL server of the drills' own, which can be stopped and started again."""

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
from dataclasses import dataclass, field
from pathlib import Path

import psycopg


@dataclass
class Postgres:
    """A server in a folder of its own on a free port of the loopback address."""

    folder: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    port: int = 0
    _server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, as SQLAlchemy spells it."""
        return f"postgresql://modelyard:{self.password}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make an empty database."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        secret = self.folder / "password"
        secret.write_text(self.password)
        user = _account()
        if user is not None:
            for path in (self.folder, secret):
                shutil.chown(path, user.pw_uid, user.pw_gid)
        options = [f"--pwfile={secret}", "--username=modelyard", "--auth=scram-sha-256"]
        command = [_programs() / "initdb", "--pgdata", self.folder / "data", *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **_as(user))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [_programs() / "postgres", "-D", self.folder / "data", *arguments],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                **_as(_account()),
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Stop it as a power cut does: at once, whoever is connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)
            self._server = None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="modelyard-drill-postgres-"))
    server = Postgres(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    if not folders:
        message = "PostgreSQL is not installed: run scripts/install_postgres.sh"
        raise SystemExit(message)
    return folders[-1]


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; name the account that runs it then."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _as(account: pwd.struct_passwd | None) -> dict[str, object]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
