"""Decode, resize and scale images bit for bit as Ludwig does, through torch alone.

Ludwig decodes with torchvision's C++ code, which is a library of torch operators: loaded by
itself, it costs a millisecond, and `import torchvision` a second and a half. The resizing is
that of `torchvision/transforms/_functional_tensor.py`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch

from modelyard.errors import DataError
from modelyard.training.compiled.plan import Crop, ImageInput, NotCompiledError

# torchvision.io.ImageReadMode; what no number stands for is read as it is.
UNCHANGED: Final = 0
MODES: Final = {1: 1, 2: 2, 3: 3, 4: 4}
GREY, COLOURS = 1, 3
GREY_WEIGHTS: Final = (0.2989, 0.587, 0.114)
BYTE: Final = 255


class Images:
    """Prepares one image input."""

    def __init__(self, plan: ImageInput) -> None:
        self._plan = plan
        self._mode = UNCHANGED if plan.crop else MODES.get(plan.channels, UNCHANGED)
        self._mean = _channelwise(plan.mean)
        self._std = _channelwise(plan.std)
        _operators()

    def decode(self, values: Sequence[object]) -> list[torch.Tensor]:
        """Decode to [channels, height, width] each; raise DataError for what is no image."""
        return [
            _decode(value, self._mode, f"row {number}, {self._plan.column}")
            for number, value in enumerate(values)
        ]

    def stack(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Bring them to one size and to 0..1: [images, channels, height, width]."""
        fitted = [self._fit(image, number) for number, image in enumerate(images)]
        alike = len({image.dtype for image in fitted}) == 1
        scaled = (
            torch.stack(fitted).to(torch.float32)
            if alike
            else torch.stack([image.to(torch.float32) for image in fitted])
        ) / BYTE
        if self._mean is not None and self._std is not None:
            scaled.sub_(self._mean).div_(self._std)
        return scaled

    def _fit(self, image: torch.Tensor, number: int) -> torch.Tensor:
        plan = self._plan
        if plan.crop is not None:
            return _middle(_repeated(image, plan.channels), plan.crop)
        if plan.channels == GREY and image.shape[0] != GREY:
            image = _grey(image, f"row {number}, {plan.column}")
        if tuple(image.shape[-2:]) != (plan.height, plan.width):
            size = (plan.height, plan.width)
            image = (
                _interpolated(image, size, "bilinear", antialias=True)
                if plan.method == "interpolate"
                else _cropped_or_padded(image, size)
            )
        missing = plan.channels - image.shape[0]
        if missing > 0:
            image = torch.nn.functional.pad(image, [0, 0, 0, 0, 0, missing])
        if missing < 0:
            message = f"row {number}, {plan.column}: has {image.shape[0]} channels, and not {plan.channels}"
            raise DataError(message)
        return image


@cache
def _operators() -> Any:
    """Load the decoder without torchvision's Python side."""
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        message = "torchvision, which decodes images, is not installed"
        raise NotCompiledError(message)
    library = next(Path(found.origin).parent.glob("image*.so"), None)
    if library is None:
        message = "torchvision was built without its image decoder"
        raise NotCompiledError(message)
    torch.ops.load_library(str(library))
    return torch.ops.image


def _decode(value: object, mode: int, place: str) -> torch.Tensor:
    if not isinstance(value, bytes | bytearray) or not value:
        message = f"{place}: a {type(value).__name__} is no image"
        raise DataError(message, hint="give a whole PNG, JPEG or TIFF")
    try:
        # A copy, for torch warns of memory that cannot be written to.
        image = _operators().decode_image(
            torch.frombuffer(bytearray(value), dtype=torch.uint8), mode, False
        )
    except RuntimeError as error:
        return _tiff(bytes(value), place, error)
    return image


def _tiff(data: bytes, place: str, cause: Exception) -> torch.Tensor:
    import numpy as np

    try:
        from tifffile import imread

        array = imread(io.BytesIO(data))
    except Exception as error:  # noqa: BLE001 - tifffile raises whatever its parser meets
        message = f"{place}: not an image that the model can read"
        raise DataError(message, hint="give a whole PNG, JPEG or TIFF") from (error or cause)
    image = torch.from_numpy(array.astype(np.int32) if array.dtype == np.uint16 else array)
    return image.unsqueeze(0) if image.ndim == len(("height", "width")) else image


def _grey(image: torch.Tensor, place: str) -> torch.Tensor:
    if image.shape[0] != COLOURS:
        message = f"{place}: has {image.shape[0]} channels, and not 1 or 3"
        raise DataError(message)
    red, green, blue = image.unbind(dim=0)
    weights = GREY_WEIGHTS
    grey = weights[0] * red + weights[1] * green + weights[2] * blue
    return grey.to(image.dtype).unsqueeze(0)


def _interpolated(
    image: torch.Tensor, size: tuple[int, int], mode: str, *, antialias: bool
) -> torch.Tensor:
    floating = image.is_floating_point()
    resized = torch.nn.functional.interpolate(
        image.unsqueeze(0) if floating else image.unsqueeze(0).to(torch.float32),
        size=list(size),
        mode=mode,
        align_corners=False,
        antialias=antialias,
    )
    if mode == "bicubic" and image.dtype == torch.uint8:
        resized = resized.clamp(min=0, max=BYTE)
    resized = resized.squeeze(0)
    return resized if floating else torch.round(resized).to(image.dtype)


def _cropped_or_padded(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    halves = [(wanted - had) / 2 for wanted, had in zip(size, image.shape[-2:], strict=True)]
    first = [max(0, int(half // 1)) for half in halves]
    second = [max(0, int(-(-half // 1))) for half in halves]
    # Ludwig hands [height, width] to torchvision, which takes left, top, right, bottom.
    left, top, right, bottom = *first, *second
    if any((left, top, right, bottom)):
        edged = torch.nn.functional.pad(
            image.unsqueeze(0).to(torch.float32), [left, right, top, bottom], mode="replicate"
        )
        image = edged.squeeze(0).to(image.dtype)
    return _centre(image, size)


def _centre(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    height, width = image.shape[-2:]
    tall, wide = max(0, size[0] - height), max(0, size[1] - width)
    if tall or wide:
        around = [wide // 2, (wide + 1) // 2, tall // 2, (tall + 1) // 2]
        image = torch.nn.functional.pad(image, around)
        height, width = image.shape[-2:]
    top, left = round((height - size[0]) / 2.0), round((width - size[1]) / 2.0)
    return image[..., top : top + size[0], left : left + size[1]]


def _repeated(image: torch.Tensor, channels: int) -> torch.Tensor:
    has = image.shape[0]
    if has >= channels:
        return image[:channels]
    return image.repeat(channels // has + 1, 1, 1)[:channels]


def _middle(image: torch.Tensor, crop: Crop) -> torch.Tensor:
    height, width = image.shape[-2:]
    short, long = min(height, width), max(height, width)
    longer = int(crop.resize * long / short)
    size = (longer, crop.resize) if width <= height else (crop.resize, longer)
    if (height, width) != size:
        image = _interpolated(image, size, crop.interpolation, antialias=crop.antialias)
    return _centre(image, (crop.crop, crop.crop))


def _channelwise(values: tuple[float, ...] | None) -> torch.Tensor | None:
    return None if values is None else torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
