"""The rows of a split; images are paths that are absolute only in memory, or the bytes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import SplitData
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SPLIT = "split"
TRAIN, VALIDATION, TEST = 0, 1, 2


def read_rows(
    spec: Spec, split: SplitData, workspace: Workspace, also: Sequence[str] = ()
) -> DataFrame:
    """Read the columns that the model uses, others that are asked for, and the split.

    Raises:
        TrainingError: a column or an image is missing.
    """
    import pandas as pd

    table = workspace.path(split.table)
    features = (*spec.inputs, *spec.outputs)
    columns = list(dict.fromkeys([*(feature.column for feature in features), *also]))
    try:
        rows = pd.read_parquet(table, columns=[*columns, SPLIT])
    except FileNotFoundError as error:
        message = f"{table} is gone"
        raise TrainingError(message, hint="run the stage split again") from error
    for feature in features:
        if feature.type == "image":
            values = rows[feature.column]
            rows[feature.column] = _images(values, workspace.path(split.folder), feature.column)
    return rows


def decode_packed_at_once(model: Any, rows: DataFrame) -> None:
    """Take the lazy mode from the features of a Ludwig model whose images the rows hold as bytes.

    Ludwig's lazy mode writes these to `~/.cache/ludwig/lazy_media/FEATURE/`, numbered by row, and
    trains on what an earlier training left there.
    """
    config = model.config_obj
    for feature in (*config.input_features, *config.output_features):
        if feature.type == "image" and _packed(rows[feature.column]):
            feature.preprocessing.mode = "eager"


def _packed(values: Series[Any]) -> bool:
    return any(isinstance(value, bytes) for value in values.head(1))


def _images(values: Series[Any], folder: Path, column: str) -> list[str | bytes]:
    cells = zip(values.tolist(), values.isna().tolist(), strict=True)
    images = ["" if absent else _image(value, folder) for value, absent in cells]
    missing = [number for number, image in enumerate(images, 1) if not _there(image)]
    if missing:
        first = images[missing[0] - 1]
        where = f": {first}" if first and isinstance(first, str) else ""
        message = f"column {column}: {len(missing)} images are missing, the first in row {missing[0]}{where}"
        raise TrainingError(message, hint="check the data with: modelyard stage validate")
    return images


def _image(value: object, folder: Path) -> str | bytes:
    return value if isinstance(value, bytes) else str(folder / str(value))


def _there(image: str | bytes) -> bool:
    return bool(image) if isinstance(image, bytes) else Path(image).is_file()
