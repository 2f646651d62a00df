"""Masks that Ludwig would learn wrongly are refused before training, with what would work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.mask_checks import refuse_masks
from tests.training.test_masks import png, square

GOOD = {"num_channels": 1, "num_classes": 2, "infer_image_sample_size": 100}


def asked(preprocessing: dict[str, Any], augmentation: Any = None) -> dict[str, Any]:
    image = {"name": "image", "type": "image", "augmentation": augmentation or []}
    mask = {"name": "mask", "type": "image", "preprocessing": preprocessing}
    return {"input_features": [image], "output_features": [mask]}


def check(masks: list[np.ndarray], config: dict[str, Any]) -> None:
    spec = Spec.model_validate({"name": "x", "data": {"path": "x"}, "model": config})
    refuse_masks(spec, config, pd.DataFrame({"mask": [png(mask) for mask in masks]}))


def refused(masks: list[np.ndarray], config: dict[str, Any]) -> str:
    with pytest.raises(TrainingError) as caught:
        check(masks, config)
    return f"{caught.value} {caught.value.hint}"


BLANK = square(size=0)
CLASSES = [square(value=1), square(value=2)]


def test_good_masks_pass_whatever_page_comes_first() -> None:
    check([BLANK, BLANK, square()], asked(GOOD))
    check([square(), BLANK], asked(GOOD))
    check([square()], asked(GOOD | {"height": 8, "width": 8}))


def test_classes_beyond_those_that_ludwig_looks_at_are_named() -> None:
    text = refused([BLANK, square()], asked(GOOD | {"height": 8, "width": 8}))
    assert "the first 1 of 2 masks only, and these lack the value 255" in text
    assert "infer_image_sample_size: 2" in text
    text = refused([BLANK, BLANK, square()], asked(GOOD | {"infer_image_sample_size": 2}))
    assert "the first 2 of 3" in text


def test_an_image_output_must_be_said_to_be_a_mask() -> None:
    assert "num_classes: 2" in refused([square()], asked({"num_channels": 1}))


def test_masks_of_one_value_teach_nothing() -> None:
    assert "one value only" in refused([BLANK, BLANK], asked(GOOD))


def test_two_values_that_ludwig_would_round_to_one_are_refused() -> None:
    text = refused([square(value=1)], asked(GOOD))
    assert "these hold 0 and 1" in text
    assert "write 0 and 255" in text


def test_classes_must_not_be_resized() -> None:
    several = {"num_channels": 1, "infer_image_num_classes": True, "infer_image_sample_size": 100}
    check(CLASSES, asked(several))
    text = refused(CLASSES, asked(several | {"infer_image_max_height": 4}))
    assert "resize masks of 3 values to 4 x 8" in text
    check([square()], asked(GOOD | {"infer_image_max_height": 4, "infer_image_max_width": 4}))


@pytest.mark.parametrize("step", ["random_horizontal_flip", "random_rotate", "auto_augmentation"])
def test_augmentation_that_moves_the_image_alone_is_refused(step: str) -> None:
    text = refused([square()], asked(GOOD, [{"type": "random_blur"}, {"type": step}]))
    assert f"{step} would move the image and not its mask" in text


def test_augmentation_that_leaves_pixels_in_place_passes() -> None:
    check([square()], asked(GOOD, [{"type": "random_brightness"}]))


def test_models_without_masks_may_flip_images() -> None:
    config = asked(GOOD, [{"type": "random_horizontal_flip"}])
    config["output_features"] = [{"name": "label", "type": "category"}]
    spec = Spec.model_validate({"name": "x", "data": {"path": "x"}, "model": config})
    refuse_masks(spec, config, pd.DataFrame({"label": ["a"]}))
    assert spec.outputs[0].type != "image"
