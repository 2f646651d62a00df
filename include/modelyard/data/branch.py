"""A git commit that changes one file, made beside the work tree: neither it nor the index is touched."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from modelyard.data.stores import translated
from modelyard.errors import DataError

AUTHOR = b"Modelyard <modelyard@localhost>"
FILE_MODE = 0o100644
HEAD: Any = b"HEAD"


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest commit of a branch, and what its message says below the first line."""

    commit: str
    said: Mapping[str, str]


class Branch:
    """One branch of the git repository that a project stands in."""

    def __init__(self, project: Path, name: str) -> None:
        from dulwich.repo import Repo

        self.name = name
        self._ref: Any = f"refs/heads/{name}".encode()
        with translated(f"the git repository of {project}", "a data revision is a git commit"):
            self._repo: Any = Repo.discover(str(project))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._repo.close()

    def tip(self) -> Tip | None:
        """Return the newest commit, or None where there is no such branch yet."""
        refs = self._repo.refs
        if self._ref not in refs:
            return None
        commit = self._repo[refs[self._ref]]
        lines = commit.message.decode("utf-8", "replace").splitlines()
        pairs = [line.partition(": ") for line in lines[1:]]
        said = {key: value for key, colon, value in pairs if colon}
        return Tip(commit.id.decode(), said)

    def head(self) -> str:
        """Return the commit that is checked out.

        Raises:
            DataError: there is none yet.
        """
        try:
            return str(self._repo.head().decode())
        except KeyError as error:
            message = (
                "the git repository has no commit yet, so a data revision has nothing to stand on"
            )
            raise DataError(message, hint="git commit the spec and the .dvc file first") from error

    def commit(  # noqa: PLR0913 - what a commit is
        self,
        path: str,
        content: bytes,
        message: str,
        *,
        onto: str,
        parents: Sequence[str],
        tip: str | None,
    ) -> str:
        """Commit the tree of `onto` with one file changed, and move the branch from `tip` to it.

        Raises:
            DataError: somebody else moved the branch meanwhile.
        """
        if self._repo.refs.read_ref(HEAD) == b"ref: " + self._ref:
            message = f"the branch {self.name} is checked out, so no data revision can be put on it"
            raise DataError(message, hint="git switch to another branch")
        with translated(f"git cannot keep the branch {self.name}"):
            made = self._make(path, content, message, onto, parents)
            moved = self._move(tip, made)
        if not moved:
            reason = f"the branch {self.name} was moved by somebody else meanwhile"
            raise DataError(reason, hint="try again")
        return made

    def _make(
        self, path: str, content: bytes, message: str, onto: str, parents: Sequence[str]
    ) -> str:
        from dulwich.object_store import commit_tree_changes
        from dulwich.objects import Blob, Commit, ObjectID

        store = self._repo.object_store
        blob = Blob.from_string(content)
        store.add_object(blob)
        tree = self._repo[onto.encode()].tree
        commit = Commit()
        commit.tree = commit_tree_changes(store, tree, [(path.encode(), FILE_MODE, blob.id)])
        commit.parents = [ObjectID(parent.encode()) for parent in parents]
        commit.author = commit.committer = AUTHOR
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = message.encode()
        store.add_object(commit)
        return str(commit.id.decode())

    def _move(self, tip: str | None, made: str) -> bool:
        refs = self._repo.refs
        new = made.encode()
        if tip is None:
            return bool(refs.add_if_new(self._ref, new, AUTHOR, message=b"modelyard"))
        return bool(refs.set_if_equals(self._ref, tip.encode(), new, AUTHOR, message=b"modelyard"))
