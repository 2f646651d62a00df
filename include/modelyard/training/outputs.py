"""What a version answered to its test rows, laid out as live answers are: watching's reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.features import ModelFeature, ModelSignature
from modelyard.training.masks import fitted, pixels, read_grey
from modelyard.training.measure import compare
from modelyard.training.predictor import first_image

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pandas import DataFrame, Series

    Figures = npt.NDArray[np.float64]

# Of more rows a comparison gets no sharper, and each version keeps them.
MOST_ROWS = 50_000


def lay_out(
    signature: ModelSignature,
    test: DataFrame,
    predicted: DataFrame,
    places: npt.NDArray[Any] | None = None,
    segment_by: str | None = None,
) -> DataFrame:
    """Return a row a test row, with the columns that watching gives live answers.

    `predicted.OUTPUT` and `truth.OUTPUT` are labels as the endpoint spells them, numbers, or the
    share of a mask that is not background; `probability.OUTPUT` is that of the predicted label;
    `embedding.0` onwards is where the model places the row; `input.COLUMN` is the column that
    segments are made by. Of more than 50,000 rows so many are drawn.

    Args:
        signature: The model's inputs and outputs.
        test: The test rows.
        predicted: Ludwig's predictions of them.
        places: [rows, dimensions], or None.
        segment_by: An input column, or None.
    """
    import pandas as pd

    table, columns = compare(signature, test, predicted), dict[str, Any]()
    for output in signature.outputs:
        columns |= _columns(output, signature, table, test, predicted)
    if places is not None and len(places) == len(test):
        columns |= {f"embedding.{number}": one for number, one in enumerate(places.T)}
    if segment_by is not None and segment_by in test:
        columns[f"input.{segment_by}"] = test[segment_by].to_numpy()
    frame = pd.DataFrame(columns)
    return frame if len(frame) <= MOST_ROWS else frame.sample(MOST_ROWS, random_state=0)


def write(frame: DataFrame, file: Path) -> None:
    """Write it as Parquet."""
    frame.reset_index(drop=True).to_parquet(file, index=False)


def _columns(
    output: ModelFeature,
    signature: ModelSignature,
    table: DataFrame,
    test: DataFrame,
    predicted: DataFrame,
) -> dict[str, Any]:
    name = output.name
    if output.type == "image":
        masks = predicted[f"{name}_predictions"]
        image = first_image(signature)
        images = test[output.column if image is None else image]
        return {
            f"predicted.{name}": _shares(output, masks, images),
            f"truth.{name}": _true_shares(output, test[output.column]),
        }
    if f"{name}.truth" not in table:  # text, series and others, which no figure is made of
        return {}
    named = {"predicted": "prediction", "probability": "probability", "truth": "truth"}
    return {
        f"{part}.{name}": table[f"{name}.{source}"].to_numpy()
        for part, source in named.items()
        if f"{name}.{source}" in table
    }


def _shares(output: ModelFeature, masks: Series[Any], images: Series[Any]) -> Figures:
    """The foreground of masks, of the size of their images, as the endpoint answers it."""
    return _foreground(
        output,
        [
            fitted(pixels(mask), read_grey(image).shape)
            for mask, image in zip(masks, images, strict=True)
        ],
    )


def _true_shares(output: ModelFeature, masks: Series[Any]) -> Figures:
    return _foreground(output, [read_grey(mask) for mask in masks])


def _foreground(output: ModelFeature, masks: Sequence[Any]) -> Figures:
    import numpy as np

    background = int((output.categories or ("0",))[0])
    return np.array([(mask != background).mean() for mask in masks], dtype=np.float64)
