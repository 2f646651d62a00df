"""Small pictures of images that were kept, as data: URLs."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE: Final = 128
LARGEST_FILE: Final = 32 * 2**20
MOST_PIXELS: Final = 50_000_000
LARGEST_URL: Final = 60_000
QUALITY: Final = 80


def thumbnail(home: Path, path: str) -> str | None:
    """Return a picture of at most 128 pixels a side; None if the file is no image below home.

    The path was logged, so it is not trusted: it must lead below ``HOME/inputs``, and what is
    written is made anew from pixels, never the file's own bytes.
    """
    file = (home / path).resolve()
    if not file.is_relative_to((home / "inputs").resolve()) or not file.is_file():
        return None
    if file.stat().st_size > LARGEST_FILE:
        return None
    content = _drawn(file)
    if content is None:
        return None
    url = f"data:image/{content[0]};base64,{base64.b64encode(content[1]).decode()}"
    return url if len(url) <= LARGEST_URL else None


def _drawn(file: Path) -> tuple[str, bytes] | None:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns of bombs below its limit; ours is lower.
            warnings.simplefilter("ignore")
            with Image.open(file) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None
                return _encoded(_small(image))
    # Pillow's readers raise nearly anything at bytes that are no image.
    except Exception:  # noqa: BLE001 - a report without one picture is still a report
        return None


def _small(image: Image) -> Image:
    import numpy as np
    from PIL import Image as Pillow

    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        # More than eight bits: stretched to what is there, as microscopes' viewers do.
        pixels = np.asarray(image, dtype="float64")
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - low) / (high - low or 1.0) * 255
        image = Pillow.fromarray(pixels.astype("uint8"))
    if image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    # A picture of few pixels is enlarged with its pixels visible, a large one made smaller.
    if max(image.size) * 2 <= SIDE:
        factor = SIDE // max(image.size)
        return image.resize(
            (image.width * factor, image.height * factor), Pillow.Resampling.NEAREST
        )
    image.thumbnail((SIDE, SIDE))
    return image


def _encoded(image: Image) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    if buffer.tell() * 4 // 3 < LARGEST_URL // 3:
        return "png", buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "jpeg", buffer.getvalue()
