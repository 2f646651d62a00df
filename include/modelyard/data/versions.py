"""Which content a path has at a revision, whether DVC, git or nobody keeps track of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from modelyard.errors import DataError

WORK_TREE = "work tree"
FIELD = "data.path"


class Version(Protocol):
    """The content of one path at one revision, found but not yet copied."""

    @property
    def revision(self) -> str:
        """The git commit, or `work tree`."""

    @property
    def content_hash(self) -> str:
        """What identifies the content."""

    @property
    def file_name(self) -> str | None:
        """The name, if the path is a single file; None if it is a folder."""

    def copy_to(self, destination: Path) -> None:
        """Write all files below the folder `destination`, checked against their hashes."""


@contextmanager
def open_version(project: Path, path: str, revision: str | None) -> Iterator[Version]:
    """Find what `path` holds at a git revision; None is the work tree.

    A path that DVC tracks is read from DVC's cache or remote, by the hash in its .dvc file, so the
    work tree needs no copy of it. Other paths are read from git, or from the work tree.
    """
    from modelyard.data.plain import GitVersion, PlainVersion
    from modelyard.data.tracked import Repository

    inside = _inside(project, path)
    with Repository(project, revision) as repository:
        found = repository.tracked(inside)
        if found is not None:
            found.warn_if_changed()
            yield found
        elif revision is not None:
            yield GitVersion.find(repository, inside)
        elif (project / inside).exists():
            yield PlainVersion.find(project, inside, ignored=repository.has_dvc)
        else:
            raise _missing(path, repository.tracked_paths())


def _inside(project: Path, path: str) -> str:
    """Spell the path relative to the project, or refuse one that leads out of it."""
    absolute = Path(os.path.abspath(project / path))  # noqa: PTH100 - resolve() would follow links
    root = Path(os.path.abspath(project))  # noqa: PTH100 - as above
    if not absolute.is_relative_to(root) or absolute == root:
        message = f"{FIELD}: {path} is not below the project {root}"
        raise DataError(message, hint="`modelyard data ingest` brings data into the project")
    return PurePosixPath(absolute.relative_to(root)).as_posix()


def _missing(path: str, tracked: list[str]) -> DataError:
    from modelyard.data.words import suggestion

    message = f"{FIELD}: {path} is neither tracked by DVC nor in the work tree"
    return DataError(message, hint=suggestion(path, tracked) if tracked else None)
