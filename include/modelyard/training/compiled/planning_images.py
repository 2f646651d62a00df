"""How Ludwig brings an image to what a network takes, read off its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelyard.features import ModelFeature
from modelyard.training.compiled.plan import Crop, ImageInput, NotCompiledError

# As in ludwig/features/image_feature.py.
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
COLOURS: Final = 3


def plan_image(
    feature: ModelFeature, config: Mapping[str, Any], known: Mapping[str, Any]
) -> ImageInput:
    """Plan an image; one of torchvision's own networks has its own way.

    Raises:
        NotCompiledError: the files do not say it, or say something unknown.
    """
    preprocessing = known["preprocessing"]
    if config["encoder"].get("model_variant") is not None:
        return _torchvision(feature, preprocessing)
    if preprocessing.get("channel_class_map"):
        message = f"{feature.name}: a mask as an input has no compiled path"
        raise NotCompiledError(message)
    channels = int(preprocessing["num_channels"])
    standard = preprocessing.get("standardize_image") == "imagenet1k" and channels == COLOURS
    return ImageInput(
        name=feature.name,
        column=feature.column,
        channels=channels,
        height=int(preprocessing["height"]),
        width=int(preprocessing["width"]),
        method=preprocessing["resize_method"],
        mean=IMAGENET_MEAN if standard else None,
        std=IMAGENET_STD if standard else None,
    )


def _torchvision(feature: ModelFeature, preprocessing: Mapping[str, Any]) -> ImageInput:
    from torchvision.models import get_weight  # type: ignore[import-untyped]
    from torchvision.transforms._presets import (  # type: ignore[import-untyped]
        ImageClassification,
    )

    weights = preprocessing["torchvision_model_default_weights"]
    preset = get_weight(weights).transforms()
    if not isinstance(preset, ImageClassification):
        message = f"{feature.name}: the transforms of {weights} have no compiled path"
        raise NotCompiledError(message)
    [resize], [crop] = preset.resize_size, preset.crop_size
    return ImageInput(
        name=feature.name,
        column=feature.column,
        channels=COLOURS,
        height=crop,
        width=crop,
        method="interpolate",
        crop=Crop(
            resize=resize,
            crop=crop,
            interpolation=preset.interpolation.value,
            antialias=bool(preset.antialias),
        ),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
