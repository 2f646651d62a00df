"""Otsu's threshold divides grey values where he said, and survives images without two classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.training.otsu import LEVELS, histogram, threshold


def variance_between(counts: np.ndarray, limit: int) -> float:
    """The definition, written out: weights of both classes times the squared distance of means."""
    values = np.repeat(np.arange(LEVELS), counts)
    dark, bright = values[values <= limit], values[values > limit]
    if not len(dark) or not len(bright):
        return 0.0
    weight = len(dark) / len(values) * len(bright) / len(values)
    return float(weight * (dark.mean() - bright.mean()) ** 2)


def test_two_heaps_are_divided_between_them() -> None:
    image = np.array([[10, 12, 11], [200, 205, 210]], dtype=np.uint8)
    assert 12 <= threshold(histogram([image])) < 200


@given(st.lists(st.integers(0, 255), min_size=2, max_size=60))
def test_no_other_threshold_has_a_greater_variance_between_the_classes(values: list[int]) -> None:
    counts = np.bincount(values, minlength=LEVELS)
    best = max(variance_between(counts, limit) for limit in range(LEVELS))
    assert variance_between(counts, threshold(counts)) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_of_one_value_has_no_bright_class(value: int) -> None:
    image = np.full((4, 4), value, dtype=np.uint8)
    assert not (image > threshold(histogram([image]))).any()


def test_images_are_counted_together() -> None:
    one, two = np.zeros((2, 3), np.uint8), np.full((1, 4), 9, np.uint8)
    counts = histogram([one, two])
    assert (counts[0], counts[9], counts.sum()) == (6, 4, 10)
