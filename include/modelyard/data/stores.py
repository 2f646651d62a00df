"""Where DVC keeps files by their hash: its cache and its remotes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.data.versions import FIELD
from modelyard.errors import DataError, ModelyardError

BLOCK = 1 << 20
LEGACY = "md5-dos2unix"
LEVELS = ("files", "md5")


@contextmanager
def translated(what: str, hint: str | None = None) -> Iterator[None]:
    """Turn whatever DVC, git or a cloud library raises into a DataError about `what`."""
    try:
        yield
    except ModelyardError:
        raise
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        message = f"{what}: {reason}"
        raise DataError(message, hint=hint) from error


@dataclass(frozen=True, slots=True)
class Stored:
    """One file in DVC's object stores."""

    name: str
    oid: str
    algorithm: str
    stores: tuple[Store, ...]

    def copy_to(self, destination: Path) -> None:
        """Copy from the first store that has it, and check its hash."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        if not any(store.get(self.oid, destination) for store in self.stores):
            raise absent(self.name, self.oid, self.stores)
        if self.algorithm == "md5" and file_md5(destination) != self.oid:
            message = f"{FIELD}: {self.name} is damaged in DVC's cache or remote, its MD5 is not {self.oid}"
            raise DataError(message, hint="`dvc fetch` or `dvc push` it again from an intact copy")


class Store:
    """DVC's cache or a remote: files by hash."""

    def __init__(self, name: str, fs: Any, base: str) -> None:
        self.name = name
        self._fs = fs
        self._base = base

    def get(self, oid: str, destination: Path) -> bool:
        """Copy one file; False if the store does not have it."""
        try:
            self._fs.get_file(self._path(oid), str(destination))
        except FileNotFoundError:
            return False
        return True

    def read(self, oid: str) -> bytes | None:
        """Read one small file; None if the store does not have it."""
        try:
            with self._fs.open(self._path(oid), "rb") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def _path(self, oid: str) -> str:
        return str(self._fs.join(self._base, oid[:2], oid[2:]))


def tree_hash(files: Sequence[tuple[str, str]]) -> str:
    """Hash a folder's listing as DVC does."""
    return tree_text(files)[1]


def tree_text(files: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Write a folder's listing as DVC does, and hash it."""
    listing = [{"md5": oid, "relpath": name} for name, oid in sorted(files)]
    text = json.dumps(listing, sort_keys=True)
    return text, hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def find_stores(out: Any, config: Any) -> tuple[Store, ...]:
    """The cache first, then the remote of the output or of the repository."""
    from dvc.fs import get_cloud_fs

    cache = out.cache
    stores = [Store("cache", cache.fs, cache.path)]
    name = out.remote or config["core"].get("remote")
    if name:
        with translated(f"DVC's remote {name}", "see `dvc remote list`"):
            kind, arguments, path = get_cloud_fs(config, name=name)
            fs = kind(**arguments)
        levels = () if out.hash_name == LEGACY else LEVELS
        stores.append(Store(f"remote {name}", fs, fs.join(path, *levels)))
    return tuple(stores)


def absent(name: str, oid: str, stores: Sequence[Store]) -> DataError:
    """Make the refusal of a file that no store has."""
    places = " nor in ".join(f"DVC's {store.name}" for store in stores)
    negation = "neither in" if len(stores) > 1 else "not in"
    message = f"{FIELD}: {name} ({oid}) is {negation} {places}"
    hint = "`dvc push` it from where it was added"
    if len(stores) == 1:
        hint += "; this repository has no DVC remote, see `dvc remote add --default`"
    return DataError(message, hint=hint)


def file_md5(path: Path) -> str:
    """Hash a file's bytes as DVC does."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def open_cloud(url: str, config: Any) -> tuple[Any, str]:
    """Open an address of a cloud store, with the settings of a DVC remote in the same bucket."""
    from dvc.fs import get_cloud_fs

    with translated(f"{url} cannot be opened"):
        kind, arguments, path = get_cloud_fs(config, url=url)
        for remote in config.get("remote", {}).values():
            if _bucket(remote.get("url", "")) == _bucket(url):
                _, arguments, _ = get_cloud_fs(config, **{**remote, "url": url})
        return kind(**arguments), str(path)


def _bucket(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
