"""Make sure that bytes are an image that can be decoded, in bounded memory and time."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Final

from PIL import Image, UnidentifiedImageError

MOST_PIXELS: Final = 25_000_000
# Each scan of a progressive JPEG is a pass over all pixels; cameras and tools write ten.
MOST_SCANS: Final = 30
START_OF_SCAN: Final = b"\xff\xda"
FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
# How files of BMP, TIFF and WEBP begin.
RARE: Final = (b"BM", b"II*\0", b"MM\0*", b"RIFF")
# Pretrained encoders bring the shorter side to 224 pixels and cut the longer one after: of one
# line of 5000 pixels that makes 250 million on the way.
LONGEST_SHAPE: Final = 50
# A camera's JPEG with a preview or a depth map behind it: its first page is the photograph.
PHOTOGRAPH: Final = "MPO"


class BadImageError(ValueError):
    """The text says what is wrong, to follow the field's name."""


class ManyPixelsError(Exception):
    """The image is too large to be decoded here and now; decode it beside the event loop."""


def from_base64(text: str) -> bytes:
    """Decode base64, also of a data URL, and also with line breaks."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        message = "is not base64; send the image file's bytes in base64, or upload it as multipart"
        raise BadImageError(message) from error


def check_image(data: bytes, most_pixels: int = MOST_PIXELS, inline: int = MOST_PIXELS) -> int:
    """Decode the whole image and return its number of pixels.

    Args:
        data: The file.
        most_pixels: How many it may have; the head of the file tells.
        inline: How many may be decoded now.

    Raises:
        BadImageError: it is empty, no image, broken, too large or of several pages.
        ManyPixelsError: it has more pixels than `inline`.
    """
    if not data:
        message = "is empty; send the image file's bytes"
        raise BadImageError(message)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _decode(image, data, most_pixels, inline)
    except UnidentifiedImageError as error:
        message = f"is not an image; send one of {', '.join(FORMATS)}"
        raise BadImageError(message) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(most_pixels) from error
    except (BadImageError, ManyPixelsError):
        raise
    except Exception as error:  # Pillow's plugins are not of one mind what a broken file raises
        message = "is a truncated or broken image; save it again and send all of it"
        raise BadImageError(message) from error


def as_png(data: bytes) -> bytes:
    """Write an image that was checked as a PNG, where models cannot read its own format.

    They read PNG and JPEG, TIFF of one channel, and WEBP without alpha; the pixels stay the same.

    Raises:
        BadImageError: its colours have no counterpart in a PNG.
    """
    if not data.startswith(RARE):
        return data
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if _is_readable(image):
                return data
            written = io.BytesIO()
            kept = image.mode in {"1", "L", "LA", "P", "RGB", "RGBA"}
            (image if kept else image.convert("RGB")).save(written, "PNG")
            return written.getvalue()
    except (OSError, ValueError) as error:
        message = "has colours that cannot be read; save it as a PNG"
        raise BadImageError(message) from error


def _is_readable(image: Image.Image) -> bool:
    if image.format == "TIFF":
        return len(image.getbands()) == 1 and image.mode != "P"
    return image.format == "WEBP" and image.mode == "RGB"


def _decode(image: Image.Image, data: bytes, most_pixels: int, inline: int) -> int:
    pixels = image.width * image.height
    if pixels > most_pixels:
        raise _too_large(most_pixels)
    if pixels == 0:
        message = "has no pixels"
        raise BadImageError(message)
    if max(image.size) > LONGEST_SHAPE * min(image.size):
        message = f"is {image.width} by {image.height} pixels; one side may be {LONGEST_SHAPE} times the other"
        raise BadImageError(message)
    if pixels > inline:
        raise ManyPixelsError
    if data.count(START_OF_SCAN) > MOST_SCANS and image.format in {"JPEG", PHOTOGRAPH}:
        message = f"is a JPEG of more than {MOST_SCANS} scans; save it again"
        raise BadImageError(message)
    image.load()
    if image.format != PHOTOGRAPH and _has_second_page(image):
        message = "has several pages; send each page as an image of its own"
        raise BadImageError(message)
    return pixels


def _has_second_page(image: Image.Image) -> bool:
    # Pillow's n_frames walks through all pages, which a hostile file has many of.
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _too_large(most_pixels: int) -> BadImageError:
    return BadImageError(f"has too many pixels; at most {most_pixels / 1e6:g} million are taken")
