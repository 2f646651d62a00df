"""Whether images, as files or packed into the table, can be read to their end."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from modelyard.data.progress import Progress

log = logging.getLogger(__name__)

THREADS = 4

type ImageCell = str | bytes
"""What an image column holds: a path below the data's folder, or the encoded image itself."""


def image_problems(cells: Sequence[ImageCell | None], folder: Path) -> list[str | None]:
    """Say for each image what is wrong with it; None for a good one, and for a missing value."""
    progress = Progress(log, "opening images", len(cells))

    def look(cell: ImageCell | None) -> str | None:
        problem = None if cell is None else image_problem(cell, folder)
        progress.add()
        return problem

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, cells))


def image_problem(cell: ImageCell, folder: Path) -> str | None:
    """Say what is wrong with one image; None if every pixel can be read."""
    if isinstance(cell, bytes):
        return _unreadable(cell) if cell else "is empty"
    inside = PurePosixPath(cell)
    if inside.is_absolute() or ".." in inside.parts:
        return "is not a path inside the data"
    path = folder / inside
    if not path.is_file():
        return "does not exist"
    content = path.read_bytes()
    return _unreadable(content) if content else "is empty"


def image_hash(cell: ImageCell, folder: Path) -> str:
    """Hash an image's bytes; a file that cannot be read stands for itself."""
    try:
        content = cell if isinstance(cell, bytes) else (folder / cell).read_bytes()
    except (OSError, ValueError):
        return str(folder / str(cell))
    return hashlib.sha256(content).hexdigest()


def _unreadable(content: bytes) -> str | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()  # finds a missing end, which loading may not
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UnidentifiedImageError:
        return "is not an image"
    except Image.DecompressionBombError:
        return "is far too large"
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError is Pillow's for broken PNGs
        return f"is damaged: {error}"
    return None
