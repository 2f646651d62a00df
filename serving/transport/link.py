"""A link: the short way from an endpoint to a replica on the same machine, one Unix socket.

A call through Serve's handles costs about a millisecond of two processes, which is more than most
models take for a row. Serve still starts, watches and ends the replicas, and says which there are;
replicas on other machines are called through its handles.

A frame is a head (length of the body, number of the request) and a body in MessagePack. Number 0 is
the replica's word that it will end: what it has is answered, and it takes nothing more.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field

from serving.model.backend import Predicted
from serving.model.predictor import Failure
from serving.requests.rows import Row

HEAD: Final = struct.Struct("!IQ")
GOING: Final = 0


class LinkAddress(BaseModel):
    """Where a replica listens, as it says itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str = Field(description="The Ray node; a link does not leave it.")
    path: str = Field(description="The socket's path.")


class Frames:
    """Cuts what a socket gives into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take what arrived, and give each whole frame: its number and body."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= HEAD.size:
            length, number = HEAD.unpack_from(buffer, start)
            end = start + HEAD.size + length
            if len(buffer) < end:
                break
            yield number, bytes(memoryview(buffer)[start + HEAD.size : end])
            start = end
        del buffer[:start]


def frame(number: int, body: bytes = b"") -> bytes:
    """Write a frame."""
    return HEAD.pack(len(body), number) + body


def pack_request(rows: Sequence[Row], until: float) -> bytes:
    """Write rows, and the moment of the machine's monotonic clock when nobody waits any more."""
    return _packed((until, rows))


def unpack_request(body: bytes) -> tuple[float, list[Row]]:
    """Read rows and their moment."""
    until, rows = _unpacked(body)
    return float(until), rows


def pack_answer(answer: Predicted | Failure) -> bytes:
    """Write a variant's answer."""
    if isinstance(answer, Predicted):
        return _packed((answer.outputs, answer.milliseconds, answer.embedding))
    return _packed((None, answer.reason, answer.by_its_rows))


def unpack_answer(body: bytes) -> Predicted | Failure:
    """Read a variant's answer."""
    outputs, *rest = _unpacked(body)
    return Failure(*rest) if outputs is None else Predicted(outputs, *rest)


def _packed(value: object) -> bytes:
    # Text may hold half a character, where a form was decoded so.
    packed: bytes = msgpack.packb(value, unicode_errors="surrogatepass")
    return packed


def _unpacked(body: bytes) -> Any:
    return msgpack.unpackb(body, unicode_errors="surrogatepass", strict_map_key=False)


def listen() -> tuple[socket.socket, Path]:
    """Open a socket that only this user reaches, and take those of dead replicas away."""
    folder = Path(tempfile.gettempdir()) / f"modelyard-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        message = f"{folder} belongs to somebody else"
        raise PermissionError(message)
    folder.chmod(0o700)
    for old in folder.glob("*.link"):
        _remove_dead(old)
    path = folder / f"{token_hex(8)}.link"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(64)
    return listener, path


def _remove_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with suppress(OSError):
                path.unlink()
        except OSError:
            pass
