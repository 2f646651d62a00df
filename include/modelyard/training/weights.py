"""The hash of a model's weights, the same wherever and in whatever order they were written."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

from modelyard.errors import TrainingError


def weights_hash(folder: Path) -> str:
    """SHA-256 over every tensor's name, type, shape and bytes, in the order of the names.

    Raises:
        TrainingError: the folder has no weights.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        message = f"no weights in {folder}"
        raise TrainingError(message, hint="was the training interrupted? Run it again")
    digest = hashlib.sha256()
    for file in files:
        _add(digest, file)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, file: Path) -> None:
    """Read the safetensors format itself: a length, a JSON header, then the tensors' bytes."""
    data = memoryview(file.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(bytes(data[8 : 8 + length]))
    body = data[8 + length :]
    header.pop("__metadata__", None)
    for name in sorted(header):
        tensor = header[name]
        begin, end = tensor["data_offsets"]
        digest.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
        digest.update(body[begin:end])
