"""Masks as answers carry them: a PNG in base64, or run lengths."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import JsonValue

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pixels_of(png: str) -> NDArray[np.uint8]:
    """Read a mask's classes, rows by columns, out of a PNG in base64 that a model wrote."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image.convert("L"))


def run_lengths(png: str) -> JsonValue:
    """Write a mask as runs of equal pixels, row after row from the top left.

    ``values[i]`` stands ``lengths[i]`` times; the lengths add up to height times width.
    """
    pixels = pixels_of(png)
    flat = pixels.ravel()
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    return {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "values": flat[starts].tolist(),
        "lengths": np.diff(np.append(starts, flat.size)).tolist(),
    }


def differing(one: str, other: str) -> float:
    """Return the share of pixels in which two masks differ; 1 if they differ in size."""
    left, right = pixels_of(one), pixels_of(other)
    if left.shape != right.shape:
        return 1.0
    return float(np.mean(left != right))
