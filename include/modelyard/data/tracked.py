"""What DVC tracks at a revision, and reading it: only this module and `ingest` call DVC.

DVC's own commands take a lock on the repository, and its data index is one SQLite file for all
processes, so neither serves several runs at once. Reading needs no more than the hash in the .dvc
file and the object store's layout (`files/md5/AB/CDEF...`), and is done here without any lock.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self

from modelyard.data.progress import Progress
from modelyard.data.stores import Store, Stored, absent, find_stores, translated, tree_hash
from modelyard.data.versions import FIELD, WORK_TREE
from modelyard.data.words import suggestion
from modelyard.errors import DataError

log = logging.getLogger(__name__)

THREADS = 8


def quiet_dvc() -> None:
    """Undo that importing DVC writes its log to standard output, where `--json` answers go."""
    import dvc.logger  # noqa: F401 - importing installs the handlers

    for name in ("dvc", "dvc_objects", "dvc_data"):
        logging.getLogger(name).handlers.clear()


class Repository:
    """The git and DVC repositories that a project stands in, at one revision; both may be absent."""

    def __init__(self, project: Path, revision: str | None) -> None:
        self.project = project
        self._asked = revision
        self.config: Any = {}
        self._stack = ExitStack()
        self._broken: list[str] = []

    def __enter__(self) -> Self:
        quiet_dvc()
        with translated(f"the repository of {self.project}"):
            self._git = _find_git(self.project)
            self.commit = None if self._asked is None else self._resolve(self._asked)
            self._dvc = self._open_dvc()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def revision(self) -> str:
        """The git commit, or `work tree`."""
        return self.commit or WORK_TREE

    @property
    def has_dvc(self) -> bool:
        """Whether the project is a DVC repository."""
        return self._dvc is not None

    @property
    def scm(self) -> Any:
        """Git, or DVC's stand-in for it."""
        return self._dvc.scm

    @property
    def dvc_root(self) -> Path:
        """The folder with .dvc/."""
        return self._root

    @property
    def git_root(self) -> str:
        """The folder that git's paths start at."""
        return str(self._git.root_dir)

    @property
    def dvc(self) -> Any:
        """DVC's own repository object."""
        return self._dvc

    @property
    def files(self) -> Any:
        """The files of the commit, as a file system rooted at git's root."""
        return self._git.get_fs(self.commit)

    def below_git_root(self, inside: str) -> str:
        """Spell a path of the project as git does."""
        project = self.project.resolve().relative_to(Path(self._git.root_dir).resolve())
        return (PurePosixPath(project.as_posix()) / inside).as_posix()

    def tracked(self, inside: str) -> DvcVersion | None:
        """Return what DVC tracks at a path, as a whole, as a part, or as a folder of several."""
        if self._dvc is None:
            return None
        key = (*self._prefix, *PurePosixPath(inside).parts)
        outs = [
            out
            for out in self._outs
            if out.index_key[1][: len(key)] == key
            or key[: len(out.index_key[1])] == out.index_key[1]
        ]
        return DvcVersion(self, inside, key, outs) if outs else None

    def tracked_paths(self) -> list[str]:
        """List the paths that DVC tracks, as the project spells them."""
        keys = [out.index_key[1] for out in self._outs] if self._dvc is not None else []
        skip = len(self._prefix) if self._dvc is not None else 0
        return sorted("/".join(key[skip:]) for key in keys)

    def broken_files(self) -> str | None:
        """Name DVC files that could not be read, for a hint."""
        return f"DVC cannot read {', '.join(self._broken)}" if self._broken else None

    @cached_property
    def _outs(self) -> list[Any]:
        from dvc.repo.index import Index

        def note(path: str, error: Exception) -> None:
            log.warning("DVC cannot read %s: %s", path, error)
            self._broken.append(path)

        with translated("DVC's files"):
            index = Index.from_repo(self._dvc, onerror=note)
            return [out for out in index.outs if out.is_in_repo and out.use_cache]

    @property
    def _prefix(self) -> tuple[str, ...]:
        relative = self.project.resolve().relative_to(self._root)
        return relative.parts

    def _resolve(self, revision: str) -> str:
        from dvc.scm import RevError, resolve_rev

        if self._git is None:
            message = f"data.revision: {revision} cannot be looked up, {self.project} is not in a git repository"
            raise DataError(message, hint="leave data.revision out to take the work tree")
        try:
            return str(resolve_rev(self._git, revision))
        except (RevError, ValueError) as error:
            message = f"data.revision: git knows no revision {revision}"
            known = [*self._git.iter_refs("refs/heads/"), *self._git.iter_refs("refs/tags/")]
            names = [ref.split("/", 2)[2] for ref in known]
            raise DataError(message, hint=suggestion(revision, names)) from error

    def _open_dvc(self) -> Any:
        from dvc.exceptions import NotDvcRepoError
        from dvc.repo import Repo
        from dvc.scm import SCM

        try:
            root = Repo.find_root(str(self.project))
        except NotDvcRepoError:
            return None
        self._root = Path(root).resolve()
        scm = self._git or SCM(root, no_scm=True)
        repo = self._stack.enter_context(Repo(root, scm=scm))
        self.config = repo.config  # the commit's own would have its relative paths resolved wrongly
        if self.commit is not None:
            self._stack.enter_context(repo.switch(self.commit))
        return repo


def _find_git(project: Path) -> Any:
    from dvc.scm import SCM, SCMError

    try:
        return SCM(str(project), search_parent_directories=True)
    except SCMError:
        return None


class DvcVersion:
    """A path that DVC tracks, at one revision."""

    def __init__(
        self, repository: Repository, inside: str, key: tuple[str, ...], outs: Sequence[Any]
    ) -> None:
        self._repository = repository
        self.inside = inside
        self._key = key
        self._outs = outs

    @property
    def revision(self) -> str:
        """The git commit, or `work tree`."""
        return self._repository.revision

    @property
    def content_hash(self) -> str:
        """DVC's hash; of a part of a tracked folder, the hash that DVC would give it."""
        exact = self.out
        return _hash(exact, self.inside).value if exact else self._part_hash

    @property
    def file_name(self) -> str | None:
        """The name, if the path is a single file."""
        if self.content_hash.endswith(".dir"):
            return None
        return self._key[-1]

    def copy_to(self, destination: Path) -> None:
        """Write all files below `destination`."""
        what = f"{FIELD}: {self.inside} cannot be read through DVC"
        objects = self.objects
        progress = Progress(log, f"pulling {self.inside}, files", len(objects))

        def copy(stored: Stored) -> None:
            with translated(what):
                stored.copy_to(destination / stored.name)
            progress.add()

        destination.mkdir(parents=True)
        pool = ThreadPoolExecutor(THREADS)
        try:
            list(pool.map(copy, objects))
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def out(self) -> Any:
        """DVC's output at exactly this path; None if the path is a part of one, or holds several."""
        return next((out for out in self._outs if out.index_key[1] == self._key), None)

    @cached_property
    def objects(self) -> tuple[Stored, ...]:
        """Every file below the path; one that is the path itself has its own name."""
        found: list[Stored] = []
        for out in self._outs:
            for name, oid in _list(out, self._stores(out), self.inside):
                parts = (*out.index_key[1], *name)
                if parts[: len(self._key)] == self._key:
                    below = parts[len(self._key) :] or parts[-1:]
                    found.append(Stored("/".join(below), oid, out.hash_name, self._stores(out)))
        if not found:
            owner = "/".join(self._outs[0].index_key[1])
            message = f"{FIELD}: {owner} has no {self.inside} at {self.revision}"
            raise DataError(message)
        return tuple(sorted(found, key=lambda stored: stored.name))

    @cached_property
    def _part_hash(self) -> str:
        first = self.objects[0]
        if len(self.objects) == 1 and first.name == self._key[-1]:
            return first.oid
        return tree_hash([(stored.name, stored.oid) for stored in self.objects])

    def _stores(self, out: Any) -> tuple[Store, ...]:
        return find_stores(out, self._repository.config)

    def warn_if_changed(self) -> None:
        """Say so if the work tree's copy is not what the .dvc file speaks of."""
        out = self.out
        if self._repository.commit is not None or out is None or not out.exists:
            return
        with translated(f"{FIELD}: {self.inside} in the work tree"):
            changed = out.changed_checksum()
        if changed:
            log.warning(
                "%s was changed since `dvc add`; the changes are not used until it is added again",
                self.inside,
            )


def _hash(out: Any, inside: str) -> Any:
    if not out.hash_info:
        message = f"{FIELD}: the .dvc file of {inside} holds no hash"
        raise DataError(message, hint=f"`dvc add {inside}` or `dvc commit` writes it")
    return out.hash_info


def _list(out: Any, stores: tuple[Store, ...], inside: str) -> list[tuple[tuple[str, ...], str]]:
    found = _hash(out, inside)
    if not found.isdir:
        return [((), found.value)]
    with translated(f"{FIELD}: {inside} cannot be read through DVC"):
        texts = (store.read(found.value) for store in stores)
        listing = next((text for text in texts if text is not None), None)
        if listing is None:
            raise absent(inside, found.value, stores)
        return [
            (PurePosixPath(entry["relpath"]).parts, entry[out.hash_name])
            for entry in json.loads(listing)
        ]


def add(target: Path, project: Path) -> str | None:
    """Have DVC track a file or folder; return its hash, or None where the project has no DVC."""
    from dvc.repo import Repo

    with Repository(project, None) as repository:
        if not repository.has_dvc:
            return None
        root, scm = repository.dvc_root, repository.scm
    with (
        translated(f"DVC cannot track {target.name}"),
        Repo(str(root), scm=scm, _wait_for_lock=True) as repo,
    ):
        (stage,) = repo.add([str(target)])
        return str(stage.outs[0].hash_info.value)
