"""Dice, IoU and the baselines of masks, and the figure of examples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from modelyard.features import ModelFeature, ModelSignature
from modelyard.training.masks import (
    EXAMPLES,
    draw_examples,
    fitted,
    measure_masks,
    overlap,
    pixels,
    read_grey,
)

MASKS = arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 255]))


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def signature(*values: str) -> ModelSignature:
    return ModelSignature(
        inputs=(ModelFeature(name="image", column="picture", type="image", required=True),),
        outputs=(
            ModelFeature(
                name="mask", column="marked", type="image", required=False, categories=values
            ),
        ),
    )


def square(side: int = 8, size: int = 4, value: int = 255) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[:size, :size] = value
    return mask


def table(masks: list[np.ndarray], low: int = 20, high: int = 200) -> pd.DataFrame:
    """Rows whose pictures are bright where their masks are set."""
    pictures = [np.where(mask > 0, high, low).astype(np.uint8) for mask in masks]
    rows = {"picture": [png(one) for one in pictures], "marked": [png(mask) for mask in masks]}
    return pd.DataFrame(rows, index=range(10, 10 + len(masks)))


def measured(masks: list[np.ndarray], predicted: list[np.ndarray], *values: str) -> Any:
    known = signature(*(values or ("0", "255")))
    frame = pd.DataFrame({"mask_predictions": [mask[None] for mask in predicted]})
    rows = table(masks)
    return measure_masks(known.outputs[0], known, rows, frame, rows)


def test_dice_and_iou_are_those_of_the_textbook() -> None:
    truth, predicted = square(size=4), square(size=2)
    found = overlap([truth], [predicted], [255])
    assert found.dice()[0, 0] == pytest.approx(2 * 4 / (16 + 4))
    assert found.iou()[0, 0] == pytest.approx(4 / 16)
    assert found.right[0] == pytest.approx(1 - 12 / 64)


@given(MASKS, MASKS)
def test_iou_follows_from_dice_and_neither_cares_for_the_order(
    first: np.ndarray, second: np.ndarray
) -> None:
    there, back = overlap([first], [second], [255]), overlap([second], [first], [255])
    dice, iou = there.dice()[0, 0], there.iou()[0, 0]
    assert 0 <= iou <= dice <= 1
    assert iou == pytest.approx(dice / (2 - dice))
    assert dice == back.dice()[0, 0]
    assert (dice == 1) == bool((first == second).all())


def test_two_empty_masks_agree_and_one_alone_does_not() -> None:
    empty = np.zeros((4, 4), np.uint8)
    assert overlap([empty], [empty], [255]).dice()[0, 0] == 1
    assert overlap([empty], [square(4, 2)], [255]).dice()[0, 0] == 0


def test_pooled_dice_counts_pixels_and_the_mean_counts_images() -> None:
    large, small = square(size=8), square(size=1)
    found = measured([large, small], [large, np.zeros_like(small)]).metrics
    assert found["dice"] == pytest.approx(0.5)
    assert found["dice_pooled"] == pytest.approx(2 * 64 / (65 + 64))


def test_several_classes_are_averaged_and_named() -> None:
    truth = square(size=4, value=1) + square(size=2, value=1)
    found = measured([truth], [truth.clip(max=1)], "0", "1", "2").metrics
    assert found["dice_2"] == 0
    assert found["dice"] == pytest.approx((found["dice_1"] + 0) / 2)
    assert "otsu_dice" not in found


def test_otsu_finds_bright_and_dark_objects_alike() -> None:
    bright = measured([square()], [square()]).metrics
    assert bright["otsu_dice"] == bright["otsu_iou"] == bright["otsu_training_dice"] == 1
    known = signature("0", "255")
    rows = table([square()], low=200, high=20)
    frame = pd.DataFrame({"mask_predictions": [square()[None]]})
    dark = measure_masks(known.outputs[0], known, rows, frame, rows).metrics
    assert dark["otsu_dice"] == 1


def test_one_threshold_of_all_training_images_may_differ_from_each_images_own() -> None:
    known = signature("0", "255")
    faint, clear = table([square()], low=20, high=40), table([square()], low=100, high=200)
    frame = pd.DataFrame({"mask_predictions": [square()[None]]})
    found = measure_masks(known.outputs[0], known, faint, frame, clear).metrics
    assert found["otsu_dice"] == 1
    assert found["otsu_training_dice"] == pytest.approx(2 * 16 / (16 + 64))


def test_predictions_of_the_models_size_are_brought_to_the_masks_size() -> None:
    found = measured([square(8, 4)], [square(4, 2)])
    assert found.metrics["dice"] == 1
    assert found.columns["iou"].tolist() == [1.0]
    assert fitted(square(4, 2), (8, 6)).shape == (8, 6)


def test_examples_go_from_worst_to_best_and_name_their_rows() -> None:
    masks = [square(size=size) for size in (1, 2, 3, 4, 5, 6, 7)]
    found = measured(masks, [square(size=4)] * 7)
    assert len(found.examples) == EXAMPLES
    figures = [example.dice for example in found.examples]
    assert figures == sorted(figures)
    assert found.examples[-1].row == 13


def test_the_figure_is_a_whole_image_and_the_same_each_time(tmp_path: Path) -> None:
    examples = measured([square(), square(size=2)], [square(size=3)] * 2).examples
    [file] = draw_examples({"mask": examples}, tmp_path / "plots")
    assert file.name == "mask_masks.png"
    with Image.open(file) as image:
        image.load()
        assert min(image.size) > 300
    [again] = draw_examples({"mask": examples}, tmp_path / "again")
    assert file.read_bytes() == again.read_bytes()


def test_nothing_is_drawn_without_masks(tmp_path: Path) -> None:
    assert draw_examples({}, tmp_path) == []


def test_masks_are_read_from_bytes_and_files_and_taken_as_ludwig_gives_them(tmp_path: Path) -> None:
    file = tmp_path / "mask.png"
    file.write_bytes(png(square()))
    assert (read_grey(file) == read_grey(png(square()))).all()
    assert (pixels([square().tolist()]) == square()).all()
