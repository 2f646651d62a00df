"""A new version of data that DVC tracks: objects in its cache and remote, and a new pointer.

As in `tracked`, nothing here takes DVC's locks or looks at the work tree: files go into the cache
by their hash, and the text of the .dvc file is made anew for a git commit to hold.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.data.stores import LEGACY, file_md5, translated, tree_text
from modelyard.data.tracked import DvcVersion, Repository
from modelyard.errors import DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A .dvc file: its path below git's root, its text, and which of its outputs is meant."""

    path: str
    text: str
    out: int


@dataclass(frozen=True, slots=True)
class Revised:
    """Data as it is after a change."""

    content_hash: str
    size: int | None
    files: int | None


def find_pointer(repository: Repository, version: DvcVersion) -> Pointer:
    """Find the .dvc file of a version.

    Raises:
        DataError: the path is only a part of what DVC tracks, or a pipeline's output.
    """
    out = version.out
    if out is None or out.hash_name == LEGACY or not out.stage.path.endswith(".dvc"):
        message = (
            f"{version.inside} has no .dvc file of its own, so no data revision can be made of it"
        )
        raise DataError(
            message, hint=f"dvc add {version.inside}, or set monitor.retrain.data: spec"
        )
    with translated(f"the .dvc file of {version.inside}"):
        with out.stage.repo.fs.open(out.stage.path, "r", encoding="utf-8") as stream:
            text = str(stream.read())
        root = Path(repository.git_root).resolve()
        below = repository.dvc_root.relative_to(root) / out.stage.path_in_repo
    return Pointer(PurePosixPath(below).as_posix(), text, out.stage.outs.index(out))


def add_objects(version: DvcVersion, changed: Mapping[str, Path]) -> Revised:
    """Put changed and new files into DVC's cache, and the new listing of a folder."""
    out = version.out
    former = {stored.name: stored.oid for stored in version.objects}
    hashes = {name: _cache(out.cache, path) for name, path in changed.items()}
    size = out.meta.size
    if version.file_name is not None:
        if len(hashes) > 1:
            message = f"{version.file_name} is one file, so no images can be put beside it"
            raise DataError(message, hint="set monitor.retrain.data: spec")
        ((name, oid),) = hashes.items()
        return Revised(oid, changed[name].stat().st_size, None)
    listing = {**former, **hashes}
    text, oid = tree_text([*listing.items()])
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        file = Path(scratch) / "listing"
        file.write_text(text, encoding="utf-8")
        _keep(out.cache, file, oid)
    if size is not None:
        size += sum(path.stat().st_size for name, path in changed.items() if name not in former)
    return Revised(oid, size, len(listing))


def revised_pointer(pointer: Pointer, revised: Revised) -> bytes:
    """Write the .dvc file for the new data; what else it says stays."""
    from ruamel.yaml import YAML

    yaml = YAML()
    document: Any = yaml.load(pointer.text)
    entry = document["outs"][pointer.out]
    entry["md5"] = revised.content_hash
    for key, value in (("size", revised.size), ("nfiles", revised.files)):
        if value is not None:
            entry[key] = value
        else:
            entry.pop(key, None)
    document.pop("md5", None)  # the checksum of the stage itself
    stream = io.BytesIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def push(repository: Repository, version: DvcVersion, content_hash: str) -> str:
    """Copy the data to the project's DVC remote; say in words what was done.

    A remote inside the git repository is left alone: it is part of the work tree. One that does
    not answer is said, and the data stays in the cache, from where `dvc push` takes it.
    """
    name = version.out.remote or repository.config["core"].get("remote")
    if not name:
        return "there is no DVC remote"
    try:
        with translated(f"DVC's remote {name}"):
            odb = repository.dvc.cloud.get_remote_odb(name, "push")
            if odb.fs.protocol == "local" and _inside(Path(odb.path), Path(repository.git_root)):
                return f"the remote {name} is part of the repository"
            _transfer(version.out.cache, odb, content_hash)
    except DataError as error:
        log.warning("the data revision is in DVC's cache only: %s", error)
        return f"not pushed: {error}"
    return f"pushed to {name}"


def _transfer(cache: Any, odb: Any, content_hash: str) -> None:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    wanted = HashInfo("md5", content_hash)
    # The former files may never have been in this machine's cache; the remote has them.
    done = transfer(cache, odb, [wanted], cache_odb=cache, shallow=False)
    if done.failed:
        message = f"{len(done.failed)} files were not copied"
        raise DataError(message)


def _cache(cache: Any, path: Path) -> str:
    oid = file_md5(path)
    _keep(cache, path, oid)
    return oid


def _keep(cache: Any, path: Path, oid: str) -> None:
    from dvc.fs import LocalFileSystem

    with translated("DVC's cache"):
        cache.add(str(path), LocalFileSystem(), oid)


def _inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())
