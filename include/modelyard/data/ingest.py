"""Bring new data into the project, and give it a version."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.data.progress import size_text
from modelyard.data.sources import Source, WebSource, find_source
from modelyard.data.words import plural
from modelyard.errors import DataError, UsageError

log = logging.getLogger(__name__)

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came in, and what is to be done next."""

    path: str
    files: int
    size: int
    content_hash: str | None
    next_steps: tuple[str, ...]


def ingest(  # noqa: PLR0913 - the options of one command
    source: str,
    destination: Path,
    *,
    project: Path,
    query: str | None = None,
    sha256: str | None = None,
    checksum: bool = True,
    force: bool = False,
) -> Ingested:
    """Fetch `source` into `destination`, which appears complete or not at all, and version it.

    A file goes to `destination` if that ends like the file, such as .csv, and into the folder
    `destination` otherwise. `content_hash` is DVC's, or None where the project has no DVC.
    """
    target, inside = _target(destination, project)
    _refuse_overwriting(target, inside, force=force)
    origin = find_source(source, query, target.suffix.lower() or None, project)
    _require_checksum(origin, sha256, needed=checksum)
    with _beside(target) as partial:
        _fetch(origin, partial / target.name, target.suffix, sha256)
        with _replaced(partial / target.name, target, partial / "former"):
            content_hash = _version(target, project)
    sizes = [path.stat().st_size for path in [target, *target.rglob("*")] if path.is_file()]
    log.info("%s: %s, %s", inside, plural(len(sizes), "file"), size_text(sum(sizes)))
    steps = _next_steps(inside, tracked=content_hash is not None)
    return Ingested(inside, len(sizes), sum(sizes), content_hash, steps)


def _target(destination: Path, project: Path) -> tuple[Path, str]:
    root = Path(os.path.abspath(project))  # noqa: PTH100 - resolve() would follow links
    target = Path(os.path.abspath(root / destination))  # noqa: PTH100 - as above
    if not target.is_relative_to(root) or target == root:
        message = f"{destination} is not below the project {root}"
        raise UsageError(message, hint="such as data/NAME")
    return target, target.relative_to(root).as_posix()


def _refuse_overwriting(target: Path, inside: str, *, force: bool) -> None:
    pointer = target.with_name(f"{target.name}.dvc")
    if not force and (target.exists() or pointer.exists()):
        message = f"{inside} is there already"
        raise UsageError(message, hint="--force replaces it; earlier versions stay in DVC")


def _require_checksum(origin: Source, sha256: str | None, *, needed: bool) -> None:
    if sha256 is not None and not SHA256.fullmatch(sha256.lower()):
        message = f"--sha256 {sha256} is not a SHA-256, which has 64 hex digits"
        raise UsageError(message)
    if isinstance(origin, WebSource) and sha256 is None and needed:
        message = f"{origin.label} needs --sha256, so that what comes is what was meant"
        raise UsageError(message, hint="--no-checksum trusts the address")


def _fetch(origin: Source, place: Path, suffix: str, sha256: str | None) -> None:
    """Fetch to `place`, as a file or as a folder with the file in it, and compare checksums."""
    name = origin.file_name
    if name is None:
        if sha256 is not None:
            message = f"--sha256 is for one file, and {origin.label} is a folder"
            raise UsageError(message)
        origin.fetch(place)
        return
    as_file = bool(suffix) and Path(name).suffix.lower() == suffix.lower()
    if not as_file:
        place.mkdir()
    found = origin.fetch(place if as_file else place / Path(name).name)
    if sha256 is not None and found != sha256.lower():
        message = f"{origin.label} is not what was expected: its SHA-256 is {found}, not {sha256}"
        raise DataError(message, hint="nothing was kept")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Lend a folder on the same file system, and remove it whatever happens."""
    partial = target.parent / f".{target.name}.{os.getpid()}.partial"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        message = f"{target.parent} cannot be written to: {error.strerror}"
        raise DataError(message) from error
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _replaced(new: Path, target: Path, former: Path) -> Iterator[None]:
    """Put `new` in the place of `target`; put the former back if what follows fails."""
    had_former = target.exists()
    if had_former:
        target.rename(former)
    new.rename(target)
    try:
        yield
    except BaseException:
        target.rename(new)
        if had_former:
            former.rename(target)
        raise


def _version(target: Path, project: Path) -> str | None:
    """Have DVC track the data; return its hash, or None where the project has no DVC."""
    from modelyard.data.tracked import add

    return add(target, project)


def _next_steps(inside: str, *, tracked: bool) -> tuple[str, ...]:
    if not tracked:
        return ("dvc init", f"dvc add {inside}")
    folder = inside.rpartition("/")[0]
    ignore = f"{folder}/.gitignore" if folder else ".gitignore"
    return (f"git add {inside}.dvc {ignore}", f'git commit -m "Add {inside}"', "dvc push")
