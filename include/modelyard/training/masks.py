"""How well masks fit: Dice, IoU, the same of Otsu's threshold, and a figure of examples.

A mask gives each pixel one of the output's classes, which are grey values. The first, usually 0,
is the background; the others are the foreground.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.features import ModelFeature, ModelSignature
from modelyard.training.otsu import histogram, threshold

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pandas import DataFrame

    Pixels = npt.NDArray[np.uint8]
    Figures = npt.NDArray[np.float64]

EXAMPLES = 5
MOST_TRAINING_IMAGES = 200
TWO = 2


@dataclass(frozen=True, slots=True)
class Example:
    """One image with its reference mask and the predicted one, all of one size."""

    row: int
    dice: float
    image: Pixels
    truth: Pixels
    predicted: Pixels


@dataclass(frozen=True, slots=True)
class MaskMeasure:
    """What is measured of an output's masks: metrics, a column for each row, and examples."""

    metrics: dict[str, float]
    columns: dict[str, Any]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixels that two masks have in common, [rows, foreground classes], and right ones, [rows]."""

    both: Figures
    truth: Figures
    predicted: Figures
    right: Figures

    def dice(self) -> Figures:
        """Return 2 |A and B| / (|A| + |B|) (Dice 1945); 1 where neither has the class."""
        return _share(2 * self.both, self.truth + self.predicted)

    def iou(self) -> Figures:
        """Return |A and B| / |A or B| (Jaccard 1912); 1 where neither has the class."""
        return _share(self.both, self.truth + self.predicted - self.both)

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """Average over images, then over foreground classes; `_pooled` counts all pixels as of one image."""
        pooled = Overlap(
            self.both.sum(axis=0, keepdims=True),
            self.truth.sum(axis=0, keepdims=True),
            self.predicted.sum(axis=0, keepdims=True),
            self.right,
        )
        return {
            f"{prefix}dice": float(self.dice().mean()),
            f"{prefix}iou": float(self.iou().mean()),
            f"{prefix}dice_pooled": float(pooled.dice().mean()),
        }


def _share(part: Figures, whole: Figures) -> Figures:
    import numpy as np

    return np.divide(part, whole, out=np.ones_like(whole), where=whole > 0)


def overlap(
    truths: Sequence[Pixels], predicted: Sequence[Pixels], foreground: Sequence[int]
) -> Overlap:
    """Count, mask by mask, the pixels of each foreground class."""
    import numpy as np

    rows = [
        [[((a == c) & (b == c)).sum(), (a == c).sum(), (b == c).sum()] for c in foreground]
        for a, b in zip(truths, predicted, strict=True)
    ]
    counts = np.array(rows, dtype=np.float64)
    right = np.array([(a == b).mean() for a, b in zip(truths, predicted, strict=True)])
    return Overlap(counts[..., 0], counts[..., 1], counts[..., 2], right)


def measure_masks(
    output: ModelFeature,
    signature: ModelSignature,
    test: DataFrame,
    predicted: DataFrame,
    training: DataFrame,
) -> MaskMeasure:
    """Compare predicted masks, brought to the size of the reference masks, with those.

    Args:
        output: The output feature; its categories are the mask's grey values.
        signature: Names the image that Otsu's threshold is taken of.
        test: The test rows.
        predicted: Ludwig's predictions of them.
        training: The training rows; a threshold of all their images is a second baseline.
    """
    classes = [int(value) for value in output.categories or ()]
    truths = [read_grey(value) for value in test[output.column]]
    masks = [
        fitted(pixels(value), truth.shape)
        for value, truth in zip(predicted[f"{output.name}_predictions"], truths, strict=True)
    ]
    found = overlap(truths, masks, classes[1:])
    metrics = found.metrics() | {"pixel_accuracy": float(found.right.mean())}
    if len(classes) > TWO:
        per_class = zip(
            classes[1:], found.dice().mean(axis=0), found.iou().mean(axis=0), strict=True
        )
        for value, dice, iou in per_class:
            metrics |= {f"dice_{value}": float(dice), f"iou_{value}": float(iou)}
    image = next((one.column for one in signature.inputs if one.type == "image"), None)
    if image is not None and len(classes) == TWO:
        metrics |= _otsu(classes[1], truths, [*test[image]], [*training[image]])
    columns = {"dice": found.dice().mean(axis=1), "iou": found.iou().mean(axis=1)}
    examples = _examples(test, image, truths, masks, columns["dice"]) if image is not None else ()
    return MaskMeasure(metrics, columns, examples)


def _otsu(
    value: int, truths: Sequence[Pixels], images: Sequence[Any], training: Sequence[Any]
) -> dict[str, float]:
    """Measure Otsu's threshold of each image, and one of the training images together.

    What is foreground, bright or dark, is taken as fits the test masks better: that can only
    favour the baseline.
    """
    greys = [
        fitted(read_grey(image), truth.shape) for image, truth in zip(images, truths, strict=True)
    ]
    learned = threshold(histogram(read_grey(one) for one in training[:MOST_TRAINING_IMAGES]))
    own = [threshold(histogram([grey])) for grey in greys]
    return _better(value, truths, greys, own, "otsu_") | _better(
        value, truths, greys, [learned] * len(greys), "otsu_training_"
    )


def _better(
    value: int,
    truths: Sequence[Pixels],
    greys: Sequence[Pixels],
    thresholds: Sequence[int],
    prefix: str,
) -> dict[str, float]:
    import numpy as np

    sides = []
    for bright in (True, False):
        masks = [
            np.where(
                (grey > limit) == bright, np.uint8(value), np.uint8(0) if value else np.uint8(1)
            )
            for grey, limit in zip(greys, thresholds, strict=True)
        ]
        sides.append(overlap(truths, masks, [value]).metrics(prefix))
    return max(sides, key=lambda side: side[f"{prefix}dice"])


def _examples(
    test: DataFrame,
    image: str,
    truths: Sequence[Pixels],
    masks: Sequence[Pixels],
    dice: Figures,
) -> tuple[Example, ...]:
    """Choose rows from the worst to the best, evenly."""
    import numpy as np

    order = np.argsort(dice, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, EXAMPLES).round().astype(int))
    return tuple(
        Example(
            row=int(test.index[number]),
            dice=float(dice[number]),
            image=fitted(read_grey(test[image].iloc[number]), truths[number].shape),
            truth=truths[number],
            predicted=masks[number],
        )
        for number in order[places]
    )


def read_grey(source: str | bytes | Path) -> Pixels:
    """Read an image's grey values, [height, width]."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return np.asarray(image.convert("L"), dtype=np.uint8)


def pixels(value: Any) -> Pixels:
    """Make [height, width] of what Ludwig predicts: [1, height, width], perhaps as lists."""
    import numpy as np

    array = np.asarray(value.tolist() if hasattr(value, "tolist") else value, dtype=np.uint8)
    return array.reshape(array.shape[-2:])


def fitted(mask: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Bring grey values to a size, [height, width]; each pixel takes its nearest one's value."""
    import numpy as np
    from PIL import Image

    if mask.shape == tuple(shape):
        return mask
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def answered(mask: Pixels, background: int) -> tuple[str, float]:
    """Return a mask as a PNG in base64, and the share of its pixels that are not background."""
    import base64

    from PIL import Image

    stream = io.BytesIO()
    # Masks are flat: more effort makes them hardly smaller, and takes five times as long.
    Image.fromarray(mask).save(stream, "PNG", compress_level=1)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return text, float((mask != background).mean())


def draw_examples(measured: Mapping[str, Sequence[Example]], folder: Path) -> list[Path]:
    """Draw, for each output, `OUTPUT_masks.png`: image, reference mask, prediction, from worst to best.

    On the prediction, pixels are white where both masks have the foreground, orange where only
    the prediction has it, and blue where only the reference has it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, examples in measured.items():
        figure = Figure(figsize=(7.2, 2.4 * len(examples)), layout="constrained")
        FigureCanvasAgg(figure)
        for number, example in enumerate(examples):
            _draw_row(figure, number, len(examples), example)
        file = folder / f"{name}_masks.png"
        figure.savefig(file, dpi=110, metadata={"Software": None})
        drawn.append(file)
    return drawn


def _draw_row(figure: Any, number: int, count: int, example: Example) -> None:
    titles = ("image", "reference mask", f"prediction, Dice {example.dice:.3f}")
    pictures = (example.image, example.truth, _coloured(example))
    for place, (title, picture) in enumerate(zip(titles, pictures, strict=True), start=1):
        axis = figure.add_subplot(count, len(titles), number * len(titles) + place)
        axis.imshow(picture, cmap="gray", interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9, loc="left")
        if place == 1:
            axis.set_ylabel(f"row {example.row + 1}", fontsize=9)


def _coloured(example: Example) -> Pixels:
    import numpy as np

    background = min(example.truth.min(), example.predicted.min())
    truth, predicted = example.truth != background, example.predicted != background
    picture = np.zeros((*truth.shape, 3), dtype=np.uint8)
    picture[truth & predicted & (example.truth == example.predicted)] = (255, 255, 255)
    picture[truth & predicted & (example.truth != example.predicted)] = (220, 38, 38)
    picture[predicted & ~truth] = (234, 88, 12)
    picture[truth & ~predicted] = (37, 99, 235)
    return picture
