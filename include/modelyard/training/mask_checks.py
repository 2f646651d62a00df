"""Masks that Ludwig would learn wrongly without a word: found at `build`, with what would work.

Ludwig 0.17.10 takes a mask's classes from the first masks of the table only (the very first, where
height, width and num_channels are given), makes every other value background, and rounds masks of
two values to 0 and 255. It resizes masks as it does pictures, which mixes the values of classes,
and turns an augmented image without its mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.masks import read_grey

if TYPE_CHECKING:
    from pandas import DataFrame

MOVES: Final = (
    "random_horizontal_flip",
    "random_vertical_flip",
    "random_rotate",
    "auto_augmentation",
)
HALF: Final = 127.5
TWO: Final = 2
MOST_MASKS: Final = 2000


def refuse_masks(spec: Spec, config: Mapping[str, JsonValue], rows: DataFrame) -> None:
    """Look at the masks of every output that is an image, as Ludwig would.

    Raises:
        TrainingError: Ludwig would miss classes, mix them, or move images without their masks.
    """
    columns = {feature.name: feature.column for feature in spec.outputs if feature.type == "image"}
    for feature in _features(config, "output_features"):
        if feature["name"] in columns:
            place = f"model.output_features.{feature['name']}.preprocessing"
            _refuse_values(place, feature["preprocessing"], [*rows[columns[feature["name"]]]])
    if columns:
        _refuse_moves(_features(config, "input_features"))


def _features(config: Mapping[str, JsonValue], section: str) -> list[dict[str, Any]]:
    features = config[section]
    assert isinstance(features, list), "Ludwig wrote it"
    return features  # type: ignore[return-value]  # of mappings, for the same reason


def _refuse_values(place: str, asked: Mapping[str, Any], masks: Sequence[Any]) -> None:
    if not (asked.get("num_classes") or asked.get("infer_image_num_classes")):
        message = f"{place}: Ludwig must be told that this image is a mask"
        raise TrainingError(message, hint="add num_classes: 2, or infer_image_num_classes: true")
    looked_at = _looked_at(asked, len(masks))
    seen, sizes = _values(masks[:looked_at])
    rest, more = _values(masks[looked_at:MOST_MASKS])
    if rest - seen:
        message = (
            f"{place}: Ludwig looks for classes in the first {looked_at:,} of {len(masks):,} masks "
            f"only, and these lack the value {min(rest - seen)}"
        )
        hint = (
            f"say infer_image_sample_size: {len(masks)} and num_channels: 1; for another size, "
            "infer_image_max_height and infer_image_max_width in place of height and width"
        )
        raise TrainingError(message, hint=hint)
    if len(seen) < TWO:
        message = f"{place}: the masks hold one value only, so there is nothing to learn"
        raise TrainingError(message)
    if len(seen) == TWO and len({value > HALF for value in seen}) < TWO:
        words = " and ".join(map(str, sorted(seen)))
        message = f"{place}: Ludwig rounds masks of two values to 0 and 255, and these hold {words}"
        raise TrainingError(
            message, hint="write 0 and 255; extract_tiff does with mask_values: binary"
        )
    _refuse_resizing(place, asked, seen, sizes | more)


def _looked_at(asked: Mapping[str, Any], count: int) -> int:
    """How many masks Ludwig takes the classes from."""
    explicit = (asked.get("height") or asked.get("width")) and asked.get("num_channels")
    if explicit or not asked.get("infer_image_dimensions", True):
        return 1
    return min(count, int(asked.get("infer_image_sample_size") or count))


def _values(masks: Sequence[Any]) -> tuple[set[int], set[tuple[int, int]]]:
    import numpy as np

    values: set[int] = set()
    sizes: set[tuple[int, int]] = set()
    for mask in masks:
        grey = read_grey(mask)
        values |= {int(value) for value in np.unique(grey)}
        sizes.add((grey.shape[0], grey.shape[1]))
    return values, sizes


def _refuse_resizing(
    place: str, asked: Mapping[str, Any], seen: set[int], sizes: set[tuple[int, int]]
) -> None:
    if len(seen) == TWO or asked.get("resize_method") == "crop_or_pad":
        return
    height, width = (
        asked.get(side) or min(asked.get(f"infer_image_max_{side}") or size, size)
        for side, size in zip(("height", "width"), next(iter(sizes)), strict=True)
    )
    if sizes != {(height, width)}:
        message = (
            f"{place}: Ludwig would resize masks of {len(seen)} values to {height} x {width} as it "
            "does pictures, and make values between those of two classes background"
        )
        raise TrainingError(message, hint="keep the masks' own size, or resize the files before")


def _refuse_moves(features: Sequence[Mapping[str, Any]]) -> None:
    for feature in features:
        steps = feature.get("augmentation")
        for step in steps if isinstance(steps, list) else ():
            if step.get("type") in MOVES:
                message = (
                    f"model.input_features.{feature['name']}.augmentation: {step['type']} would move "
                    "the image and not its mask"
                )
                hint = "random_brightness, random_contrast and random_blur leave pixels in place"
                raise TrainingError(message, hint=hint)
