"""The rows of a split, with image paths that are absolute only in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
            rows[feature.column] = _absolute(
                rows[feature.column], workspace.path(split.folder), feature.column
            )
    return rows


def _absolute(values: Series[str], folder: Path, column: str) -> list[str]:
    paths = [str(folder / str(value)) for value in values]
    missing = [number for number, path in enumerate(paths, 1) if not Path(path).is_file()]
    if missing:
        message = f"column {column}: {len(missing)} images are missing, the first in row {missing[0]}: {paths[missing[0] - 1]}"
        raise TrainingError(message, hint="check the data with: modelyard stage validate")
    return paths
