"""Make sure that bytes are an image that can be decoded, in bounded memory."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Final

from PIL import Image, UnidentifiedImageError

MOST_PIXELS: Final = 25_000_000
FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
# What Pillow raises on broken files; its plugins are not of one mind.
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, KeyError, EOFError, OverflowError)


class BadImageError(ValueError):
    """The text says what is wrong, to follow the field's name."""


def from_base64(text: str) -> bytes:
    """Decode base64, also of a data URL."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        message = "is not base64; send the image file's bytes in base64, or upload it as multipart"
        raise BadImageError(message) from error


def check_image(data: bytes, most_pixels: int = MOST_PIXELS) -> int:
    """Decode the whole image and return its number of pixels.

    Raises:
        BadImageError: it is empty, no image, broken, too large or of several pages.
    """
    if not data:
        message = "is empty; send the image file's bytes"
        raise BadImageError(message)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _decode(image, most_pixels)
    except UnidentifiedImageError as error:
        message = f"is not an image; send one of {', '.join(FORMATS)}"
        raise BadImageError(message) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(most_pixels) from error
    except BadImageError:
        raise
    except _BROKEN as error:
        message = "is a truncated or broken image; save it again and send all of it"
        raise BadImageError(message) from error


def _decode(image: Image.Image, most_pixels: int) -> int:
    pixels = image.width * image.height
    if pixels > most_pixels:
        raise _too_large(most_pixels)
    image.load()
    if _has_second_page(image):
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
