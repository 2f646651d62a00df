"""Images that an encoder leaves nothing of: found by making the encoder, with what would work.

Ludwig infers the size of images from the first of them, and its own encoders refuse a size, or
shrink it to nothing, only once the training has begun.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec

if TYPE_CHECKING:
    from pandas import DataFrame

type Encoder = dict[str, Any]
type Size = tuple[int, int, int]

_SIDES: Final = (16, 32, 48, 64, 96, 128, 224)
_MOST_LAYERS: Final = 20


def refuse_sizes(spec: Spec, config: dict[str, JsonValue], rows: DataFrame) -> None:
    """Make each image encoder for the size that its images will have, without memory for it.

    Call this inside `engine(...)`.

    Raises:
        TrainingError: the encoder cannot take images of this size; the hint has been tried.
    """
    columns = {feature.name: feature.column for feature in spec.inputs}
    features = config["input_features"]
    assert isinstance(features, list), "Ludwig wrote it"
    for feature in features:
        assert isinstance(feature, dict), "Ludwig wrote it"
        column = columns.get(str(feature["name"]))
        encoder: Any = feature["encoder"]
        if feature["type"] != "image" or column is None or not _sized(encoder):
            continue
        size = _size(feature, rows[column])
        reason = _why_not(encoder, size)
        if reason is not None:
            raise _refusal(feature, size, reason)


def _sized(encoder: Any) -> bool:
    """Tell whether the encoder takes images of any size, and is made for one."""
    from ludwig.encoders.registry import get_encoder_cls

    known = inspect.signature(get_encoder_cls("image", encoder["type"]).__init__).parameters
    return "height" in known and "width" in known


def _size(feature: dict[str, Any], images: Any) -> Size:
    """Channels, height and width, by Ludwig's own inference."""
    from ludwig.features.image_feature import ImageFeatureMixin

    preprocessing = copy.deepcopy(feature["preprocessing"])
    found = ImageFeatureMixin._finalize_preprocessing_parameters(  # noqa: SLF001 - its only door
        preprocessing, feature["encoder"]["type"], images
    )
    _resize, width, height, channels, *_rest = found
    return int(channels), int(height), int(width)


def _why_not(encoder: Encoder, size: Size) -> str | None:
    """Return why an encoder cannot take a size; None if it can."""
    import torch
    from ludwig.encoders.registry import get_encoder_cls

    channels, height, width = size
    options = {**copy.deepcopy(encoder), "num_channels": channels, "height": height, "width": width}
    try:
        with torch.device("meta"), torch.no_grad():
            made = get_encoder_cls("image", encoder["type"])(**options).eval()
            made(torch.empty(2, channels, height, width))
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, Warning) as error:
        return " ".join(str(error).split())[:200]
    return None


def _refusal(feature: dict[str, Any], size: Size, reason: str) -> TrainingError:
    _channels, height, width = size
    encoder = feature["encoder"]
    message = (
        f"model.input_features.{feature['name']}.encoder: {encoder['type']} cannot take images of "
        f"{height} x {width} pixels: {reason}"
    )
    works = list(_what_works(encoder, size))
    return TrainingError(message, hint=f"would work: {'; or '.join(works)}" if works else None)


def _what_works(encoder: Encoder, size: Size) -> Iterator[str]:
    """Try the nearest changes, and say those with which the encoder can be made."""
    for said, changed in _other_encoders(encoder):
        if _why_not(changed, size) is None:
            yield said
            break
    channels, height, width = size
    for side in _larger(encoder, max(height, width)):
        if _why_not(encoder, (channels, side, side)) is None:
            yield f"preprocessing: {{height: {side}, width: {side}}}"
            break


def _larger(encoder: Encoder, side: int) -> Iterator[int]:
    patch = encoder.get("patch_size")
    step = patch if isinstance(patch, int) and patch > 0 else 16
    yield math.ceil(side / step) * step
    yield from (other for other in _SIDES if other > side)


def _other_encoders(encoder: Encoder) -> Iterator[tuple[str, Encoder]]:
    layers = encoder.get("conv_layers")
    if isinstance(layers, list):
        same = [{**layer, "padding": "same"} for layer in layers]
        yield "padding: same in each of conv_layers", {**encoder, "conv_layers": same}
        for count in range(len(layers) - 1, 0, -1):
            said = f"the first {count} of its {len(layers)} conv_layers"
            yield said, {**encoder, "conv_layers": layers[:count]}
    elif encoder["type"] == "stacked_cnn":
        yield "encoder: {padding: same}", {**encoder, "padding": "same"}
        count = encoder.get("num_conv_layers") or 2
        for fewer in range(min(count, _MOST_LAYERS) - 1, 0, -1):
            said = f"encoder: {{num_conv_layers: {fewer}}}"
            yield said, {**encoder, "num_conv_layers": fewer}
    if isinstance(encoder.get("patch_size"), int):
        for patch in range(encoder["patch_size"] - 1, 1, -1):
            yield f"encoder: {{patch_size: {patch}}}", {**encoder, "patch_size": patch}
