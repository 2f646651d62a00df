"""Otsu's threshold: what a mask can be had for without learning, as the baseline of U-Nets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
    Counts = npt.NDArray[np.int64]

LEVELS = 256


def histogram(images: Iterable[Pixels]) -> Counts:
    """Count the grey values 0 to 255 of all images together."""
    import numpy as np

    counts = np.zeros(LEVELS, dtype=np.int64)
    for image in images:
        counts += np.bincount(image.ravel(), minlength=LEVELS)
    return counts


def threshold(counts: Counts) -> int:
    """Find the grey value above which pixels are of the brighter class.

    It has the greatest variance between the two classes (N. Otsu, "A Threshold Selection Method
    from Gray-Level Histograms", IEEE Transactions on Systems, Man, and Cybernetics 9(1), 1979,
    equation 18). An image of one value has no second class: its own value.
    """
    import numpy as np

    share = counts / counts.sum()
    darker = np.cumsum(share)
    mean = np.cumsum(share * np.arange(LEVELS))
    both = darker * (1 - darker)
    variance = np.zeros(LEVELS)
    np.divide((mean[-1] * darker - mean) ** 2, both, out=variance, where=both > np.finfo(float).eps)
    if not variance.any():
        return int(np.flatnonzero(counts)[-1])
    return int(variance.argmax())
