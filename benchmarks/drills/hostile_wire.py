"""Requests that are not HTTP, or not the request that they say they are, over bare sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from benchmarks.drills.hostile_bodies import Hostile, Target, rows_of

SECONDS = 10.0
HEAD = b"Host: a\r\nContent-Type: application/json\r\n"


def broken_http(target: Target) -> Iterator[Hostile]:
    """What a socket sends before it waits for the answer."""
    body = rows_of(target.row())
    post = f"POST {target.path} HTTP/1.1\r\n".encode() + HEAD
    size = str(len(body)).encode()
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
    sends: dict[str, bytes] = {
        "body shorter than it says": post + b"Content-Length: 5000\r\n\r\n" + body,
        "body longer than it says": post + b"Content-Length: 5\r\n\r\n" + body,
        "two lengths": post + b"Content-Length: 5\r\nContent-Length: " + size + b"\r\n\r\n" + body,
        "length and chunks": post
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk,
        "negative length": post + b"Content-Length: -1\r\n\r\n" + body,
        "length of words": post + b"Content-Length: many\r\n\r\n" + body,
        "huge length": post + b"Content-Length: 99999999999999999999\r\n\r\n" + body,
        "chunks without an end": post + b"Transfer-Encoding: chunked\r\n\r\n" + chunk,
        "chunk of wrong size": post
        + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\nabc\r\n0\r\n\r\n",
        "chunk size of words": post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        "chunks over 10 MB": post
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 12
        + b"0\r\n\r\n",
        "unknown coding": post + b"Transfer-Encoding: gzip\r\n\r\n" + body,
        "100,000 headers": post + b"".join(b"X-%d: a\r\n" % at for at in range(100_000)) + b"\r\n",
        "header of 10 MB": post + b"X: " + b"a" * 10_000_000 + b"\r\n\r\n",
        "header without a colon": post + b"nothing\r\n\r\n",
        "header with NUL": post + b"X: a\0b\r\n\r\n",
        "folded header": post + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "path of 10 MB": b"GET /" + b"a" * 10_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "no host": b"GET /health HTTP/1.1\r\n\r\n",
        "HTTP/9": b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n",
        "HTTP/0.9": b"GET /health\r\n",
        "absolute path": b"GET http://example.org/health HTTP/1.1\r\nHost: a\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        "noise": bytes(range(256)) * 100,
        "expect": post + b"Expect: 100-continue\r\nContent-Length: " + size + b"\r\n\r\n" + body,
        "upgrade": b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: YQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "a thousand at once": (b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n") * 1000,
    }
    for name, data in sends.items():
        yield Hostile("wire", name, target.path, data)


def sent(url: str, data: bytes) -> str:
    """Send bytes, end the sending side, and return the status, or how the server hung up."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    with socket.create_connection(address, timeout=SECONDS) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(64)
        except TimeoutError:
            return "none"
        except OSError:
            return "cut off"
    words = answer.split(b" ", 2)
    return words[1].decode("latin-1")[:3] if len(words) > 1 else "cut off"
