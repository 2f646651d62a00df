"""Whether image files can be read to their end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from modelyard.data.progress import Progress

log = logging.getLogger(__name__)

THREADS = 4


def image_problems(names: Sequence[str | None], folder: Path) -> list[str | None]:
    """Say for each path what is wrong with it; None for a good one, and for a missing value."""
    progress = Progress(log, "opening images", len(names))

    def look(name: str | None) -> str | None:
        problem = None if name is None else image_problem(name, folder)
        progress.add()
        return problem

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, names))


def image_problem(name: str, folder: Path) -> str | None:
    """Say what is wrong with one image; None if every pixel can be read."""
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts:
        return "is not a path inside the data"
    path = folder / inside
    if not path.is_file():
        return "does not exist"
    if path.stat().st_size == 0:
        return "is empty"
    return _unreadable(path)


def _unreadable(path: Path) -> str | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.verify()  # finds a missing end, which loading may not
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:
        return "is not an image"
    except Image.DecompressionBombError:
        return "is far too large"
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError is Pillow's for broken PNGs
        return f"is damaged: {error}"
    return None
