"""Bytes that claim to be an image."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from serving.requests.images import BadImageError, as_png, check_image, from_base64
from tests.serving.fakes import picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_images_of_common_formats_are_taken(kind: str) -> None:
    assert check_image(picture((20, 10), kind)) == 200


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_images_of_every_mode_are_taken(mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (3, 2)).save(stream, "PNG")
    assert check_image(stream.getvalue()) == 6


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(stream, kind)
    whole = stream.getvalue()
    with pytest.raises(BadImageError, match=r"truncated|not an image"):
        check_image(whole[: len(whole) // 2])


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4", b"\0" * 100])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(BadImageError, match="image"):
        check_image(data)


def test_nothing_is_no_image() -> None:
    with pytest.raises(BadImageError, match="is empty"):
        check_image(b"")


def bomb(side: int) -> bytes:
    """A PNG that claims to be very large in very few bytes."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [5_001, 10_000, 65_000])
def test_an_image_of_too_many_pixels_is_refused_by_its_head(side: int) -> None:
    with pytest.raises(BadImageError, match="at most 25 million"):
        check_image(bomb(side))


def test_a_line_is_refused_for_models_make_its_shorter_side_long() -> None:
    assert check_image(picture((500, 10))) == 5000
    with pytest.raises(BadImageError, match="5000 by 1 pixels"):
        check_image(picture((5000, 1)))


def test_an_image_of_several_pages_is_refused() -> None:
    stream = io.BytesIO()
    pages = [Image.new("L", (4, 4), shade) for shade in (0, 100, 200)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(BadImageError, match="several pages"):
        check_image(stream.getvalue())


@pytest.mark.parametrize("text", ["***", "abc", "data:image/png;base64,***", "é"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(BadImageError, match="not base64"):
        from_base64(text)


def test_base64_may_have_line_breaks() -> None:
    assert from_base64("aGVs\nbG8=") == b"hello"


@pytest.mark.parametrize(
    ("kind", "mode", "kept"),
    [
        ("BMP", "1", "1"),
        ("BMP", "RGB", "RGB"),
        ("TIFF", "RGB", "RGB"),
        ("TIFF", "CMYK", "RGB"),
        ("TIFF", "P", "P"),
    ],
)
def test_formats_that_models_cannot_read_become_a_png_of_the_same_pixels(
    kind: str, mode: str, kept: str
) -> None:
    stream = io.BytesIO()
    original = Image.effect_noise((9, 7), 90).convert(mode)
    original.save(stream, kind)
    with Image.open(io.BytesIO(as_png(stream.getvalue()))) as image:
        assert (image.format, image.mode) == ("PNG", kept)
        assert image.convert("RGB").tobytes() == original.convert("RGB").tobytes()


def test_an_image_of_webp_with_alpha_becomes_a_png() -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (9, 7), (10, 20, 30, 100)).save(stream, "WEBP", lossless=True)
    with Image.open(io.BytesIO(as_png(stream.getvalue()))) as image:
        assert (image.format, image.getpixel((0, 0))) == ("PNG", (10, 20, 30, 100))


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "L"), ("JPEG", "RGB"), ("TIFF", "L"), ("TIFF", "F"), ("WEBP", "RGB")]
)
def test_other_files_stay_as_they_were_sent(kind: str, mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (9, 7)).save(stream, kind)
    assert as_png(stream.getvalue()) == stream.getvalue()
