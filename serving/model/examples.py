"""A row that a model takes: to copy from a page, and to warm a model up."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from modelyard.features import ModelFeature, ModelSignature
from serving.requests.rows import Row

SIDE: Final = 32


def example_value(feature: ModelFeature) -> str | float | list[float]:
    """A value of the feature's type, as JSON takes it; of an image only a word for it."""
    if feature.categories:
        return feature.categories[0]
    if feature.middle is not None:
        return feature.middle
    examples: dict[str, str | float | list[float]] = {
        "number": 1.5,
        "timeseries": [0.1, 0.2],
        "vector": [0.1, 0.2],
        "image": "BASE64",
        "date": "2026-01-31",
    }
    return examples.get(feature.type, "text")


def example_row(signature: ModelSignature) -> Row:
    """A row as it is after the checks: with the bytes of an image, and a series as text."""
    return {feature.column: _checked(feature) for feature in signature.inputs}


def _checked(feature: ModelFeature) -> object:
    if feature.type == "image":
        return _grey_image(feature)
    value = example_value(feature)
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _grey_image(feature: ModelFeature) -> bytes:
    size = (feature.width or SIDE, feature.height or SIDE)
    mode = {1: "L", 4: "RGBA"}.get(feature.channels or 3, "RGB")
    stream = io.BytesIO()
    Image.new(mode, size, 128 if mode == "L" else None).save(stream, "PNG")
    return stream.getvalue()
