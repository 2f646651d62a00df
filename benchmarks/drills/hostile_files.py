"""Files that claim to be images: too large, too many, broken, or of a kind that nobody expects."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import chain

from PIL import Image

SIDE = 28


def picture(kind: str = "PNG", mode: str = "L", size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    """An honest image of noise."""
    stream = io.BytesIO()
    noise = Image.effect_noise(size, 90)
    noise.convert(mode).save(stream, kind)
    return stream.getvalue()


def png(width: int, height: int, data: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG made of its chunks, whatever they say."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), *extra, (b"IDAT", data), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(side: int) -> bytes:
    """All the pixels that the head promises, in a thousandth of the bytes."""
    packer = zlib.compressobj(9)
    line = b"\0" * (side + 1)
    data = b"".join([*(packer.compress(line) for _ in range(side)), packer.flush()])
    return png(side, side, data)


def pages(kind: str, count: int) -> bytes:
    """One file of many small pages, or frames."""
    stream = io.BytesIO()
    frames = [Image.new("L", (4, 4), shade % 256) for shade in range(count)]
    options = {"duration": 20} if kind in {"GIF", "PNG", "WEBP"} else {}
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], **options)
    return stream.getvalue()


def many_scans(scans: int) -> bytes:
    """A progressive JPEG with its scans told over and over, each a pass over all pixels."""
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    at = data.index(b"\xff\xda")
    return data[:at] + data[at:-2] * scans + data[-2:]


def tiff(count: int) -> bytes:
    """A TIFF of so many pages; Pillow would take a minute to write it."""
    size = 2 + 12 * 8 + 4
    entries = [(256, 3, 4), (257, 3, 4), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    entries += [(278, 3, 4), (279, 4, 16)]
    listed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    first = 8 + 16
    directories = [
        struct.pack("<H", len(entries))
        + listed
        + struct.pack("<I", first + (at + 1) * size if at + 1 < count else 0)
        for at in range(count)
    ]
    return b"II*\0" + struct.pack("<I", first) + bytes(range(16)) + b"".join(directories)


def endless_tiff() -> bytes:
    """A TIFF whose directory follows itself."""
    entries = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 16)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 24) + b"\0" * 16 + directory + struct.pack("<I", 24)


@cache
def hostile_images() -> tuple[tuple[str, bytes], ...]:
    """Name and bytes of each; some are honest images of rare kinds, to be answered or refused."""
    return tuple(chain(_foreign(), _large(), _rare(), _broken()))


def _foreign() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "text", b"hello"
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
    yield "xml bomb", b'<!DOCTYPE a [<!ENTITY b "bb">]><svg>' + b"&b;" * 10_000 + b"</svg>"
    yield "pdf", b"%PDF-1.4\n" + b"0" * 100
    yield "zip", b"PK\x03\x04" + b"\0" * 1000
    yield "zeros", b"\0" * 100_000


def _large() -> Iterator[tuple[str, bytes]]:
    for side in (5_001, 65_000, 2**31 - 1):
        yield f"claims {side} pixels a side", png(side, side, zlib.compress(b"\0"))
    yield "24 million pixels in 24 kB", bomb(4_900)
    yield "no width", png(0, 10, zlib.compress(b""))
    yield "no pixels", png(0, 0, zlib.compress(b""))
    text = b"Comment\0\0" + zlib.compress(b"A" * 50_000_000, 9)
    yield "text chunk of 50 MB", png(4, 4, zlib.compress(b"\0" * 20), (b"zTXt", text))
    profile = b"icc\0\0" + zlib.compress(b"A" * 50_000_000, 9)
    yield "colour profile of 50 MB", png(4, 4, zlib.compress(b"\0" * 20), (b"iCCP", profile))
    yield "10,000 chunks", png(4, 4, zlib.compress(b"\0" * 20), *[(b"tEXt", b"a\0b")] * 10_000)
    yield "data longer than the image", png(4, 4, zlib.compress(b"\0" * 9_000_000, 9))
    yield "1000 scans", many_scans(200)
    yield "10,000 pages", tiff(10_000)
    yield "animated GIF", pages("GIF", 50)
    yield "animated PNG", pages("PNG", 50)
    yield "animated WEBP", pages("WEBP", 50)
    yield "endless TIFF", endless_tiff()


def _rare() -> Iterator[tuple[str, bytes]]:
    for kind, mode in (
        ("PNG", "1"),
        ("PNG", "P"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("PNG", "I;16"),
        ("JPEG", "CMYK"),
        ("JPEG", "RGB"),
        ("TIFF", "F"),
        ("TIFF", "CMYK"),
        ("TIFF", "LAB"),
        ("TIFF", "1"),
        ("GIF", "P"),
        ("BMP", "1"),
        ("WEBP", "RGBA"),
    ):
        stream = io.BytesIO()
        Image.new(mode, (SIDE, SIDE)).save(stream, kind)
        yield f"{kind} {mode}", stream.getvalue()
    stream = io.BytesIO()
    rotated = Image.Exif()
    rotated[0x0112] = 6
    Image.new("RGB", (SIDE, 2 * SIDE)).save(stream, "JPEG", exif=rotated)
    yield "rotated by EXIF", stream.getvalue()
    yield "one pixel", picture(size=(1, 1))
    yield "one line", picture(size=(5_000, 1))


def _broken(seed: int = 1) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(seed)  # noqa: S311 - hostile, not secret
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"):
        whole = picture(kind, "RGB" if kind != "GIF" else "L", (64, 64))
        for part in (0.1, 0.5, 0.9, 0.99):
            yield f"{kind} cut at {part:.0%}", whole[: int(len(whole) * part)]
        for number in range(12):
            spoiled = bytearray(whole)
            for _ in range(chance.choice((1, 3, 30))):
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            yield f"{kind} spoiled {number}", bytes(spoiled)
