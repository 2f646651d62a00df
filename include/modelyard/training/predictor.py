"""Answers from a trained model; also what `mlflow.pyfunc.load_model` loads (`_load_pyfunc`)."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from modelyard.errors import DataError
from modelyard.features import ModelFeature, ModelSignature
from modelyard.spec.models import ResourceSpec
from modelyard.training.engine import engine
from modelyard.training.masks import answered, fitted, pixels
from modelyard.training.measure import LABELS, labels
from modelyard.training.signature import describe

if TYPE_CHECKING:
    from pandas import DataFrame

DATA_URL = re.compile(r"^data:[\w.+/-]+;base64,")
LONGEST_PATH = 4096


class Predictor:
    """A loaded model; `predict` takes rows and gives plain Python values."""

    def __init__(self, folder: Path, resources: ResourceSpec | None = None) -> None:
        self.signature = describe(folder)
        self._resources = resources or ResourceSpec()
        with engine(self._resources, f"load the model in {folder}") as ludwig:
            self._model = ludwig.load(folder)
        _decode_at_once(self._model)

    def predict(self, model_input: DataFrame, params: Mapping[str, Any] | None = None) -> DataFrame:
        """Predict each row: `<output>`, and `<output>_probability` and `_probabilities` of labels.

        A mask is a PNG in base64, of grey values and of the size of the row's (first) image;
        `<output>_share` is the share of its pixels that are not background.

        Raises:
            DataError: a column is missing or an image cannot be read; names row and column.
            TrainingError: Ludwig cannot predict the rows.
        """
        del params  # part of MLflow's interface; there is nothing to choose
        rows = self._checked(model_input)
        with engine(self._resources, "predict") as ludwig_is_quiet:
            del ludwig_is_quiet
            predicted, _ = self._model.predict(dataset=rows)
        return self._answers(predicted, model_input, rows)

    def _checked(self, given: DataFrame) -> DataFrame:
        missing = [
            feature.column
            for feature in self.signature.inputs
            if feature.required and feature.column not in given
        ]
        if missing:
            message = f"the rows have no {', '.join(missing)}"
            raise DataError(message, hint=f"columns given: {', '.join(map(str, given.columns))}")
        known = [f.column for f in self.signature.inputs if f.column in given]
        rows = given[known].reset_index(drop=True)
        for feature in self.signature.inputs:
            if feature.type == "image":
                rows[feature.column] = [
                    image_bytes(value, number, feature.column)
                    for number, value in enumerate(rows[feature.column])
                ]
            elif feature.column not in rows:
                rows[feature.column] = None
        return rows

    def _answers(self, predicted: DataFrame, given: DataFrame, rows: DataFrame) -> DataFrame:
        import pandas as pd

        column = first_image(self.signature)
        sizes = [None] * len(rows) if column is None else [size_of(one) for one in rows[column]]
        columns = answer_columns(self.signature, predicted, sizes)
        answers = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
        return pd.DataFrame(answers).set_axis(given.index, axis=0)


def first_image(signature: ModelSignature) -> str | None:
    """The column of the image whose size a mask takes; None where the model takes no image."""
    return next((one.column for one in signature.inputs if one.type == "image"), None)


def answer_columns(
    signature: ModelSignature, predicted: DataFrame, sizes: Sequence[tuple[int, int] | None]
) -> dict[str, list[Any]]:
    """Make the answers' columns of Ludwig's predictions.

    Args:
        signature: The model's inputs and outputs.
        predicted: Ludwig's table.
        sizes: Height and width of each row's first image.
    """
    columns: dict[str, list[Any]] = {}
    for output in signature.outputs:
        if output.type == "image":
            columns |= _mask_answer(output, predicted, sizes)
        else:
            columns |= _answer(output, predicted)
    return columns


def _decode_at_once(model: Any) -> None:
    """Take the lazy mode from a model's images.

    Ludwig's lazy mode writes images given as bytes to `~/.cache/ludwig/lazy_media/FEATURE/`,
    numbered by row, and reads what an earlier call left there: answers for other images.
    """
    for feature in model.config_obj.input_features:
        if feature.type in {"image", "audio"}:
            feature.preprocessing.mode = "eager"
            kept = model.training_set_metadata[feature.name]
            kept["preprocessing"]["mode"] = kept["mode"] = "eager"
            kept["lazy"] = False


def _answer(output: ModelFeature, predicted: DataFrame) -> dict[str, list[Any]]:
    name, values = output.name, predicted[f"{output.name}_predictions"]
    if output.type not in LABELS:
        return {name: [plain(value) for value in values]}
    known = [
        label for label in output.categories or () if f"{name}_probabilities_{label}" in predicted
    ]
    chances = predicted[[f"{name}_probabilities_{label}" for label in known]].to_numpy().tolist()
    return {
        name: labels(values, output).tolist(),
        f"{name}_probability": [float(value) for value in predicted[f"{name}_probability"]],
        f"{name}_probabilities": [dict(zip(known, row, strict=True)) for row in chances],
    }


def _mask_answer(
    output: ModelFeature, predicted: DataFrame, sizes: Sequence[tuple[int, int] | None]
) -> dict[str, list[Any]]:
    background = int((output.categories or ("0",))[0])
    pictures, shares = [], []
    for value, size in zip(predicted[f"{output.name}_predictions"], sizes, strict=True):
        mask = pixels(value)
        picture, share = answered(mask if size is None else fitted(mask, size), background)
        pictures.append(picture)
        shares.append(share)
    return {output.name: pictures, f"{output.name}_share": shares}


def size_of(data: bytes) -> tuple[int, int]:
    """Height and width of an image, from its first bytes."""
    with Image.open(io.BytesIO(data)) as image:
        return image.height, image.width


def plain(value: Any) -> Any:
    """Turn numpy's and torch's values into Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def image_bytes(value: Any, row: int, column: str) -> bytes:
    """Read an image given as bytes, as base64 text or as the path of a file.

    Raises:
        DataError: it is none of these, or no image.
    """
    data = _bytes(value, f"row {row}, {column}")
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken files
        message = f"row {row}, {column}: not an image, or a broken one"
        raise DataError(message, hint="give a whole PNG, JPEG or TIFF") from error
    return data


def _bytes(value: Any, place: str) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Path) or (isinstance(value, str) and _is_file(value)):
        return Path(value).read_bytes()
    if isinstance(value, str):
        try:
            return base64.b64decode(DATA_URL.sub("", value), validate=True)
        except (binascii.Error, ValueError) as error:
            message = f"{place}: neither a file that exists nor base64"
            raise DataError(message) from error
    message = f"{place}: a {type(value).__name__} is no image"
    raise DataError(message, hint="give bytes, base64 text or a file's path")


def _is_file(text: str) -> bool:
    try:
        return len(text) <= LONGEST_PATH and Path(text).is_file()
    except (OSError, ValueError):
        return False


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Predictor:  # noqa: ARG001 - MLflow's interface
    """Load the folder that MLflow keeps as the model's data."""
    return Predictor(Path(path))
