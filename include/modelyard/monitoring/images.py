"""What is measured of an image: light, contrast, sharpness, size, and a hash of its content."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

NUMBERS: Final = ("brightness", "contrast", "sharpness", "width", "height")
NOTHING: Final = dict.fromkeys((*NUMBERS, "sha256"))
# Larger images are looked at in a grid of about this many pixels a side: a measure is no thumbnail.
SIDE: Final = 256
FULL: Final = {"b": 1.0, "u1": 255.0, "u2": 65535.0, "i4": 65535.0}


def measure_image(value: object) -> dict[str, str | float | None]:
    """Measure an image given as path, bytes, array or PIL image; None for each if it is none.

    Brightness and contrast are the grey values' mean and standard deviation, sharpness their mean
    step to the next pixel, all as a share of white.
    """
    content = _content(value)
    pixels = _pixels(content)
    if pixels is None or pixels.size == 0:
        return dict(NOTHING)
    height, width = pixels.shape[:2]
    grey = _grey(pixels)
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "sharpness": _sharpness(grey),
        "width": float(width),
        "height": float(height),
        "sha256": _digest(content, pixels),
    }


def _content(value: object) -> object:
    """Read a file's bytes; leave everything else as it is."""
    if not isinstance(value, str | Path):
        return value
    try:
        return Path(value).read_bytes()
    except (OSError, ValueError):
        return None


def _pixels(content: object) -> np.ndarray | None:
    import numpy as np
    from PIL import Image

    if isinstance(content, np.ndarray):
        return content if content.ndim in {2, 3} and content.dtype.kind in "buif" else None
    if isinstance(content, Image.Image):
        return _array(content)
    if not isinstance(content, bytes | bytearray | memoryview):
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _array(image)
    # Pillow's readers raise many kinds for broken files; live inputs must not stop the log.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _array(image: Image) -> np.ndarray:
    import numpy as np

    if image.mode in {"P", "PA"}:
        image = image.convert("RGB")
    elif image.mode in {"LA", "La", "RGBA", "RGBa"}:
        image = image.convert("L" if image.mode[0] == "L" else "RGB")
    return np.asarray(image)


def _grey(pixels: np.ndarray) -> np.ndarray:
    import numpy as np

    step = max(1, max(pixels.shape[:2]) // SIDE)
    seen = pixels[::step, ::step]
    kind = seen.dtype.kind if seen.dtype.kind == "b" else f"{seen.dtype.kind}{seen.dtype.itemsize}"
    # Rows, columns and channels make three dimensions; a grey image has two.
    grey = seen.mean(axis=2, dtype="float32") if seen.ndim > 2 else seen  # noqa: PLR2004 - see above
    share: np.ndarray = np.nan_to_num(np.asarray(grey, dtype="float32")) / FULL.get(kind, 1.0)
    return share


def _sharpness(grey: np.ndarray) -> float:
    steps = [abs(grey[1:] - grey[:-1]), abs(grey[:, 1:] - grey[:, :-1])]
    return float(sum(part.mean() for part in steps if part.size))


def _digest(content: object, pixels: np.ndarray) -> str:
    exact = content if isinstance(content, bytes | bytearray | memoryview) else pixels.tobytes()
    return hashlib.sha256(exact).hexdigest()
