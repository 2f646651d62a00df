"""What is written down of a running stack, so that a later command finds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.errors import StackError
from modelyard.settings import Settings
from modelyard.stack.environment import stack_id
from modelyard.stack.ports import Ports
from modelyard.stack.services import services_folder
from modelyard.workspace import write_atomically

STATE = "stack.json"
LONGEST_FOLDER = 40
"""Ray adds about 65 characters to its folder for a socket's path, which may have 107."""
SAME_TIME_SECONDS = 2.0


class Recorded(BaseModel):
    """One start of the stack."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int = Field(description="supervisord's process.")
    created: float = Field(description="When that process began, to tell it from a namesake.")
    started: float = Field(description="When the stack was started, in Unix time.")
    ports: Ports = Field(description="The ports that it was given.")

    @property
    def alive(self) -> bool:
        """Whether that very supervisord still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < SAME_TIME_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def read(settings: Settings) -> Recorded | None:
    """Return what was recorded; a file that cannot be read counts as none."""
    try:
        return Recorded.model_validate_json(_file(settings).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def record(settings: Settings, pid: int, ports: Ports) -> Recorded:
    """Write down that the stack was started."""
    created = psutil.Process(pid).create_time()
    recorded = Recorded(pid=pid, created=created, started=time.time(), ports=ports)
    write_atomically(_file(settings), recorded.model_dump_json(indent=2))
    return recorded


def forget(settings: Settings) -> None:
    """Remove all that only a running stack needs: its record, its sockets, Ray's session."""
    _file(settings).unlink(missing_ok=True)
    shutil.rmtree(runtime_path(settings), ignore_errors=True)


def leftovers(settings: Settings) -> bool:
    """Whether a stack that no longer runs left something behind."""
    return _file(settings).exists() or runtime_path(settings).exists()


def _file(settings: Settings) -> Path:
    return services_folder(settings) / STATE


def runtime_path(settings: Settings) -> Path:
    """Name the folder for sockets and keys; short, since a socket's path has 107 characters."""
    temporary = tempfile.gettempdir()
    base = Path(temporary if len(temporary) <= LONGEST_FOLDER - 25 else "/tmp")  # noqa: S108 - made private below
    return base / f"modelyard-{stack_id(settings)}"


def make_runtime(settings: Settings) -> Path:
    """Make that folder, for its owner only.

    Raises:
        StackError: there is one of somebody else.
    """
    folder = runtime_path(settings)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        message = f"{folder} is there already and not ours"
        raise StackError(message, hint="have its owner remove it, or set TMPDIR")
    folder.chmod(0o700)
    return folder


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Keep two commands from starting or stopping the same stack at once.

    The lock is on the folder itself, so that no lock file stays behind.

    Raises:
        StackError: another command is at it.
    """
    folder = services_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        message = "another command is starting or stopping the stack"
        raise StackError(message, hint="wait for it to end, then look with: make status") from error
    finally:
        os.close(descriptor)
