"""Images are decoded, resized and scaled bit for bit as Ludwig does, without torchvision's import."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelyard.errors import DataError
from modelyard.training.compiled.plan import Crop, ImageInput

pytestmark = pytest.mark.heavy

SIZES = [(8, 6), (5, 9), (13, 7), (6, 8)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
type Pixels = np.ndarray[Any, np.dtype[Any]]


def saved(size: tuple[int, int], mode: str = "L", kind: str = "PNG") -> bytes:
    """An image of noise, [height, width]."""
    noise = np.random.default_rng(sum(size)).integers(0, 256, (*size, 4), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise, "RGBA").convert(mode).save(stream, kind)
    return stream.getvalue()


def plan(channels: int = 1, **changes: Any) -> ImageInput:
    given: dict[str, Any] = {"height": 8, "width": 6, "method": "interpolate"}
    return ImageInput(name="x", column="x", channels=channels, **given | changes)


def prepared(one: ImageInput, data: list[bytes]) -> Pixels:
    from modelyard.training.compiled.images import Images

    images = Images(one)
    array: Pixels = images.stack(images.decode(data)).numpy()
    return array


def by_ludwig(one: ImageInput, data: bytes) -> Pixels:
    """What Ludwig makes of it when it predicts."""
    import torch
    from ludwig.features.image_feature import ImageFeatureMixin

    array: Pixels = ImageFeatureMixin._read_image_if_bytes_obj_and_resize(
        data,
        img_width=one.width,
        img_height=one.height,
        should_resize=True,
        num_channels=one.channels,
        resize_method=one.method,
        user_specified_num_channels=True,
        standardize_image="imagenet1k" if one.mean else None,
        channel_class_map=torch.Tensor([]),
    )
    return array


@pytest.mark.parametrize("method", ["interpolate", "crop_or_pad"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (1, "RGB"), (3, "RGB"), (3, "L")])
def test_every_size_and_mode_becomes_what_ludwig_makes_of_it(
    method: str, size: tuple[int, int], channels: int, mode: str
) -> None:
    one, data = plan(channels, method=method), saved(size, mode)
    np.testing.assert_array_equal(prepared(one, [data])[0], by_ludwig(one, data))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "GIF", "WEBP"])
def test_every_kind_of_file_becomes_what_ludwig_makes_of_it(kind: str) -> None:
    data = saved((13, 7), "L" if kind == "TIFF" else "RGB", kind)
    one = plan(1 if kind == "TIFF" else 3)
    np.testing.assert_array_equal(prepared(one, [data])[0], by_ludwig(one, data))


def test_colours_are_normalised_where_training_did() -> None:
    one, data = plan(3, mean=MEAN, std=STD), saved((9, 9), "RGB")
    np.testing.assert_array_equal(prepared(one, [data])[0], by_ludwig(one, data))


def test_images_of_all_sizes_and_kinds_go_together() -> None:
    data = [saved(size) for size in SIZES] + [saved((9, 9), "L", "TIFF")]
    together = prepared(plan(), data)
    assert together.shape == (5, 1, 8, 6)
    for number, one in enumerate(data):
        np.testing.assert_array_equal(together[number], prepared(plan(), [one])[0])


@pytest.mark.parametrize("size", [(8, 8), (300, 260), (20, 31)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_torchvisions_own_networks_get_what_their_transforms_make(
    size: tuple[int, int], mode: str
) -> None:
    from ludwig.features.image_feature import ImageFeatureMixin, ResizeChannels
    from torch.nn import Sequential
    from torchvision.transforms._presets import (  # type: ignore[import-untyped]
        ImageClassification,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transform = Sequential(ResizeChannels(3), ImageClassification(crop_size=24, resize_size=28))
    crop = Crop(resize=28, crop=24, interpolation="bilinear", antialias=True)
    one = plan(3, height=24, width=24, crop=crop, mean=MEAN, std=STD)
    data = saved(size, mode)
    expected = ImageFeatureMixin._read_image_with_pretrained_transform(data, transform)
    np.testing.assert_array_equal(prepared(one, [data])[0], expected)


@pytest.mark.parametrize("value", [b"", b"no image", None, "image.png", saved((8, 6))[:60]])
def test_what_is_no_image_is_refused_with_its_row(value: Any) -> None:
    with pytest.raises(DataError, match="row 1, x: "):
        prepared(plan(), [saved((8, 6)), value])


def test_a_picture_of_too_many_channels_is_refused(tmp_path: Path) -> None:
    import tifffile

    file = tmp_path / "five.tiff"
    tifffile.imwrite(file, np.zeros((5, 8, 6), dtype=np.uint8), photometric="minisblack")
    with pytest.raises(DataError, match="row 0, x: has 5 channels"):
        prepared(plan(), [file.read_bytes()])
    with pytest.raises(DataError, match="row 0, x: has 5 channels, and not 3"):
        prepared(plan(3), [file.read_bytes()])
