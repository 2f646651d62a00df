"""An image has the same measures in whatever form it comes."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelyard.monitoring import images
from modelyard.monitoring.images import NOTHING, measure_image


def as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def numbers(value: object) -> dict[str, object]:
    return {name: found for name, found in measure_image(value).items() if name != "sha256"}


@pytest.fixture
def picture(random: np.random.Generator) -> Image.Image:
    return Image.fromarray(random.integers(0, 256, (28, 20, 3), dtype=np.uint8))


def test_a_path_bytes_a_picture_and_an_array_measure_alike(
    picture: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "picture.png"
    picture.save(path)
    forms = [path, str(path), as_png(picture), picture, np.asarray(picture)]
    assert all(numbers(form) == numbers(picture) for form in forms)


def test_size_is_in_pixels(picture: Image.Image) -> None:
    measured = measure_image(picture)
    assert (measured["width"], measured["height"]) == (20.0, 28.0)


@pytest.mark.parametrize(("grey", "brightness"), [(0, 0.0), (255, 1.0), (51, 0.2)])
def test_brightness_is_a_share_of_white(grey: int, brightness: float) -> None:
    measured = measure_image(Image.new("L", (8, 8), grey))
    assert measured["brightness"] == pytest.approx(brightness)
    assert measured["contrast"] == pytest.approx(0, abs=1e-6)
    assert measured["sharpness"] == 0


def test_a_blurred_picture_is_less_sharp(picture: Image.Image) -> None:
    from PIL import ImageFilter

    blurred = picture.filter(ImageFilter.GaussianBlur(2))
    assert measure_image(blurred)["sharpness"] < measure_image(picture)["sharpness"] / 2  # type: ignore[operator]


@pytest.mark.parametrize(
    ("colour", "saturation"), [((255, 0, 0), 1.0), ((200, 100, 100), 0.5), ((9, 9, 9), 0.0)]
)
def test_saturation_is_how_far_colours_are_from_grey(
    colour: tuple[int, int, int], saturation: float
) -> None:
    assert measure_image(Image.new("RGB", (4, 4), colour))["saturation"] == pytest.approx(
        saturation
    )


def test_entropy_counts_grey_levels_in_bits() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert measure_image(ramp)["entropy"] == pytest.approx(8.0)
    assert measure_image(ramp // 128 * 255)["entropy"] == pytest.approx(1.0)
    assert measure_image(np.zeros((4, 4), dtype=np.uint8))["entropy"] == 0.0


def test_measures_are_those_of_pillow(picture: Image.Image) -> None:
    """What whylogs' image metrics are made of, some ten times as fast."""
    from PIL.ImageStat import Stat

    measured = measure_image(picture)
    assert measured["saturation"] == pytest.approx(
        Stat(picture.convert("HSV")).mean[1] / 255, abs=0.005
    )
    grey = picture.convert("L")
    assert measure_image(grey)["entropy"] == pytest.approx(grey.entropy(), abs=0.01)


def test_sixteen_bits_are_scaled_like_eight() -> None:
    half = np.full((8, 8), 32768, dtype=np.uint16)
    assert measure_image(half)["brightness"] == pytest.approx(0.5, abs=1e-3)
    assert measure_image(as_png(Image.fromarray(half)))["brightness"] == pytest.approx(
        0.5, abs=1e-3
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_usual_mode_is_measured(mode: str) -> None:
    measured = measure_image(Image.new(mode, (6, 4)))
    assert (measured["width"], measured["height"]) == (6.0, 4.0)


def test_transparency_is_not_light() -> None:
    assert measure_image(Image.new("RGBA", (4, 4), (0, 0, 0, 255)))["brightness"] == 0


def test_the_hash_is_that_of_the_bytes_that_came(picture: Image.Image) -> None:
    content = as_png(picture)
    assert measure_image(content)["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "value",
    [None, 3, b"", b"no image", "missing.png", "nul\x00.png", np.zeros(3), np.zeros((0, 4)), [1]],
    ids=repr,
)
def test_what_is_no_image_has_no_measures(value: object) -> None:
    assert measure_image(value) == NOTHING


@pytest.mark.parametrize("cut", [60, 200, 1000])
def test_a_truncated_image_has_no_measures(picture: Image.Image, cut: int) -> None:
    assert measure_image(as_png(picture)[:-cut])["brightness"] is None


def test_a_one_pixel_image_is_measured() -> None:
    assert measure_image(Image.new("L", (1, 1), 255))["sharpness"] == 0


def test_a_large_image_is_looked_at_in_a_grid(random: np.random.Generator) -> None:
    large = random.integers(0, 256, (2000, 1000), dtype=np.uint8)
    measured = measure_image(large)
    assert measured["height"] == 2000.0
    assert measured["brightness"] == pytest.approx(large.mean() / 255, abs=0.01)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [3, 4])
def test_brightness_is_bit_by_bit_what_older_references_have(
    random: np.random.Generator, dtype: str, bands: int
) -> None:
    pixels = (random.random((20, 30, bands)) * 200).astype(dtype)
    assert np.array_equal(images._mean_of_bands(pixels), pixels.mean(axis=2, dtype="float32"))
