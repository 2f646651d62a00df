"""Masks of a TIFF as classes: their values are kept, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from modelyard.data.tiff import check_pages, extract
from modelyard.errors import DataError
from modelyard.spec.data import ExtractTiff


def write(folder: Path, masks: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(
        folder / "cells.tif", np.zeros(masks.shape, np.uint8), photometric="minisblack"
    )
    tifffile.imwrite(folder / "masks.tif", masks, photometric="minisblack")


def step(values: str) -> ExtractTiff:
    return ExtractTiff.model_validate(
        {
            "kind": "extract_tiff",
            "images": "cells.tif",
            "masks": "masks.tif",
            "mask_values": values,
        }
    )


def extracted(folder: Path, values: str) -> tuple[pd.DataFrame, list[np.ndarray]]:
    table = extract(step(values), folder, folder / "out", None, "data.transform[0]")
    return table, [np.asarray(Image.open(folder / "out" / name)) for name in table["mask"]]


MASKS = np.array([[[0, 1], [2, 255]], [[0, 0], [0, 7]]], dtype=np.uint32)


def test_classes_keep_their_values(tmp_path: Path) -> None:
    write(tmp_path, MASKS)
    _, pages = extracted(tmp_path, "classes")
    assert [page.tolist() for page in pages] == MASKS.tolist()
    assert {page.dtype for page in pages} == {np.dtype(np.uint8)}


def test_binary_masks_are_black_and_white_and_empty_pages_stay(tmp_path: Path) -> None:
    write(tmp_path, np.concatenate([MASKS * 1000, MASKS * 0]))
    table, pages = extracted(tmp_path, "binary")
    assert [sorted(np.unique(page)) for page in pages] == [[0, 255], [0, 255], [0], [0]]
    assert len(table) == 4


@pytest.mark.parametrize("value", [256, 70_000])
def test_a_value_that_is_no_class_is_refused_before_and_at_the_transform(
    tmp_path: Path, value: int
) -> None:
    masks = MASKS.copy()
    masks[1, 0, 0] = value
    write(tmp_path, masks)
    for ask in (
        lambda: check_pages(step("classes"), tmp_path, "here"),
        lambda: extracted(tmp_path, "classes"),
    ):
        with pytest.raises(DataError, match=f"holds {value}; classes are 0 to 255") as caught:
            ask()
        assert "mask_values: binary" in str(caught.value.hint)
    assert check_pages(step("binary"), tmp_path, "here") == 2


def test_values_between_whole_numbers_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, np.array([[[0.0, 0.5]]], dtype=np.float32))
    with pytest.raises(DataError, match=r"holds 0\.5"):
        extracted(tmp_path, "classes")
