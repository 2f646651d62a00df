"""Keep inputs whole, where the spec asks for it: a retraining and example inputs need them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from serving.model.outputs import plain

FOLDER: Final = "inputs"
# How files of the formats begin that the endpoint takes.
BEGINNINGS: Final = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpg",
    b"II*\x00": "tif",
    b"MM\x00*": "tif",
    b"BM": "bmp",
    b"GIF8": "gif",
    b"RIFF": "webp",
}
log = logging.getLogger(__name__)


def whole_inputs(
    home: Path, model: str, features: Sequence[tuple[str, str]], row: Mapping[str, object]
) -> dict[str, JsonValue]:
    """Return a row's inputs as JSON; an image becomes a file, and its path below `home` stands for it.

    An image is kept once however often it comes: its file, ``inputs/MODEL/SHA256.EXTENSION``, is
    called by its content. One that cannot be written is None, and the log says why.
    """
    kept: dict[str, JsonValue] = {}
    for name, _ in features:
        value = row.get(name)
        if isinstance(value, bytes | bytearray | memoryview):
            kept[name] = _kept_file(home, model, bytes(value))
        else:
            kept[name] = plain(value)
    return kept


def _kept_file(home: Path, model: str, content: bytes) -> str | None:
    name = f"{hashlib.sha256(content).hexdigest()}.{extension(content)}"
    path = home / FOLDER / model / name
    try:
        if not path.exists():
            # They may show people, and so they are for the owner of the service only.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = path.with_name(f".{name}.{os.getpid()}")
            partial.write_bytes(content)
            partial.replace(path)
    except OSError as error:
        log.warning("an input of %s cannot be kept: %s", model, error)
        return None
    return path.relative_to(home).as_posix()


def extension(content: bytes) -> str:
    """Tell a file's format by how it begins."""
    return next((name for head, name in BEGINNINGS.items() if content.startswith(head)), "bin")
