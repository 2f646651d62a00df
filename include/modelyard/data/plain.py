"""Files that DVC does not track: in git at a commit, or only in the work tree."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from modelyard.data.progress import Progress
from modelyard.data.stores import translated
from modelyard.data.tracked import Repository
from modelyard.data.versions import FIELD, WORK_TREE
from modelyard.data.words import suggestion
from modelyard.errors import DataError

log = logging.getLogger(__name__)

BLOCK = 1 << 20


class PlainVersion:
    """A file or folder of the work tree that nothing keeps track of."""

    def __init__(self, root: Path, names: Sequence[str], content_hash: str) -> None:
        self._root = root
        self._names = names
        self.content_hash = content_hash
        self.revision = WORK_TREE

    @classmethod
    def find(cls, project: Path, inside: str, *, ignored: bool) -> PlainVersion:
        """Hash what is there now; `ignored` says that DVC is in use but not for this path."""
        root = project / inside
        names = _names(root)
        if not names:
            message = f"{FIELD}: the folder {inside} is empty"
            raise DataError(message)
        advice = f"`dvc add {inside}`" if ignored else "`dvc init` and `dvc add`"
        log.warning("%s has no version: %s would give it one", inside, advice)
        progress = Progress(log, f"hashing {inside}, files", len(names))
        with translated(f"{FIELD}: {inside} cannot be read"):
            pairs = [(name, _hashed(root / name, None, progress)) for name in names]
        return cls(root, names, listing_hash(pairs))

    @property
    def file_name(self) -> str | None:
        """The name, if the path is a single file."""
        return self._root.name if self._root.is_file() else None

    def copy_to(self, destination: Path) -> None:
        """Copy the files, and refuse if they changed meanwhile."""
        destination.mkdir(parents=True)
        progress = Progress(log, f"copying {self._root.name}, files", len(self._names))
        single = self.file_name
        pairs = []
        with translated(f"{FIELD}: {self._root} cannot be read"):
            for name in self._names:
                target = destination / (single or name)
                pairs.append((name, _hashed(self._root / name, target, progress)))
        if listing_hash(pairs) != self.content_hash:
            message = f"{FIELD}: {self._root} changed while it was read"
            raise DataError(message, hint="try again when nothing writes to it")


class GitVersion:
    """A file or folder that git itself holds at a commit."""

    def __init__(self, repository: Repository, base: str, names: Sequence[str], name: str) -> None:
        self._fs = repository.files
        self._base = base
        self._names = names
        self._name = name
        self.revision = repository.revision
        with translated(f"{FIELD}: {name} cannot be read from git"):
            pairs = [(one, hashlib.sha256(self._read(one)).hexdigest()) for one in names]
        self.content_hash = listing_hash(pairs)

    @classmethod
    def find(cls, repository: Repository, inside: str) -> GitVersion:
        """Look the path up in the commit."""
        base = f"/{repository.below_git_root(inside)}"
        with translated(f"{FIELD}: {inside} cannot be read from git"):
            fs = repository.files
            if fs.isfile(base):
                return cls(repository, base, (".",), inside)
            found = sorted(fs.find(base)) if fs.isdir(base) else []
        if not found:
            tracked = repository.tracked_paths()
            message = f"{FIELD}: neither DVC nor git tracks {inside} at {repository.revision[:12]}"
            hint = repository.broken_files() or (suggestion(inside, tracked) if tracked else None)
            raise DataError(message, hint=hint)
        names = [str(PurePosixPath(path).relative_to(base)) for path in found]
        return cls(repository, base, names, inside)

    @property
    def file_name(self) -> str | None:
        """The name, if the path is a single file."""
        return PurePosixPath(self._base).name if tuple(self._names) == (".",) else None

    def copy_to(self, destination: Path) -> None:
        """Write the files of the commit."""
        for name in self._names:
            target = destination / (self.file_name or name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with translated(f"{FIELD}: {self._name} cannot be read from git"):
                target.write_bytes(self._read(name))

    def _read(self, name: str) -> bytes:
        path = self._base if name == "." else f"{self._base}/{name}"
        with self._fs.open(path, "rb") as stream:
            return bytes(stream.read())


def listing_hash(pairs: Sequence[tuple[str, str]]) -> str:
    """Hash names and contents of files; marked, so that it is never taken for DVC's."""
    text = json.dumps(sorted(pairs))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _names(root: Path) -> list[str]:
    """List the files below a folder; a single file is `.`, as `root / "."` is the root."""
    if root.is_file():
        return ["."]
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _hashed(source: Path, target: Path | None, progress: Progress) -> str:
    """Hash a file, and copy it on the way if a target is given."""
    digest = hashlib.sha256()
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as stream, open(target or "/dev/null", "wb") as sink:  # noqa: PTH123
        while block := stream.read(BLOCK):
            digest.update(block)
            if target is not None:
                sink.write(block)
    progress.add()
    return digest.hexdigest()
