"""The home folder: content-keyed stage folders that are made once, and one log file a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from pydantic import JsonValue, ValidationError

from modelyard.artifacts import Artifact
from modelyard.settings import Settings
from modelyard.spec.models import content_hash

ARTIFACT = "artifact.json"
SALTED = frozenset({"tune", "cross_validate", "train"})


class Workspace:
    """Folders for stages and runs below `home`."""

    def __init__(self, settings: Settings, salt: str = "") -> None:
        self.settings = settings
        self.home = settings.home
        self._salt = salt

    def salted(self, salt: str) -> Workspace:
        """The same home, where models made without this salt are not found again."""
        return Workspace(self.settings, salt)

    def path(self, relative: str) -> Path:
        """Make an artifact's path absolute."""
        return self.home / relative

    def relative(self, path: Path) -> str:
        """Spell a path below the home folder as artifacts do."""
        return path.relative_to(self.home).as_posix()

    def run_folder(self, run: str) -> Path:
        """The folder of one run: its spec as it was resolved, and its log."""
        return self.home / "runs" / run

    def log_file(self, run: str) -> Path:
        """The one log file of a run."""
        return self.run_folder(run) / "run.log"

    def kept(self, key: str) -> Path:
        """A folder for work in progress on this key: it outlives a crash, and goes when all is done."""
        return self.home / "unfinished" / key[:16]

    def once[A: Artifact](
        self, kind: type[A], depends_on: JsonValue, make: Callable[[Path, str], A]
    ) -> A:
        """Return what `make(folder, key)` made for these dependencies, now or earlier.

        The folder is keyed by the hash of `depends_on` and marked complete last, by writing the
        artifact; a second caller waits for the first, and a folder left by a crash is begun anew.
        What is to outlive a crash belongs into `kept(key)`.
        """
        salt = self._salt if kind.stage in SALTED else ""
        key = content_hash([kind.stage, depends_on, salt])
        folder = self.home / "stages" / kind.stage / key[:16]
        done = self._read(kind, folder)
        if done is not None:
            return done
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            done = self._read(kind, folder)
            if done is None:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                done = make(folder, key)
                write_atomically(folder / ARTIFACT, done.model_dump_json(indent=2))
                shutil.rmtree(self.kept(key), ignore_errors=True)
        return done

    @staticmethod
    def _read[A: Artifact](kind: type[A], folder: Path) -> A | None:
        """Read a complete artifact; one of an older format counts as not made."""
        try:
            return kind.model_validate_json((folder / ARTIFACT).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see all of it or nothing, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
