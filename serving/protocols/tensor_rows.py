"""Between tensors and the rows, features and answers of a model."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from modelyard.features import ModelFeature, ModelSignature
from serving.http.problems import FieldProblem, invalid
from serving.protocols.tensors import BYTES, Tensor, described, refuse
from serving.requests.bodies import Rows, check_count

ID: Final = "prediction_id"
LISTS: Final = frozenset({"timeseries", "vector", "sequence", "set", "bag", "text"})
SERIES: Final = frozenset({"timeseries", "vector"})
LABELLED: Final = frozenset({"category", "binary"})

type Prediction = Mapping[str, JsonValue]


def rows_of(tensors: Sequence[Tensor], signature: ModelSignature) -> Rows:
    """Make rows: a tensor is a column, its first dimension the rows.

    Raises:
        Refusal: 400 or 413, the tensors do not make rows; 422, a text is not UTF-8.
    """
    if not tensors:
        refuse("inputs is empty; send one tensor a column")
    count = tensors[0].rows
    check_count(count)
    for tensor in tensors:
        if tensor.rows != count:
            first = tensors[0].name
            refuse(f"input {tensor.name!r} has {tensor.rows} rows, and {first!r} has {count}")
    features = {feature.column: feature for feature in signature.inputs}
    columns = {tensor.name: _column(tensor, features.get(tensor.name)) for tensor in tensors}
    return Rows([{name: columns[name][at] for name in columns} for at in range(count)])


def _column(tensor: Tensor, feature: ModelFeature | None) -> list[object]:
    kind = "" if feature is None else feature.type
    wide = kind in LISTS and len(tensor.shape) > 1
    values: list[object] = []
    for at in range(tensor.rows):
        row = tensor.row(at)
        if kind != "image":
            row = [_text(value, at + 1, tensor.name) for value in row]
        if wide and (len(row) > 1 or kind in SERIES):
            values.append(row)
        elif len(row) == 1:
            values.append(row[0])
        else:
            message = f"has {len(row)} values a row; the model takes one"
            raise invalid([FieldProblem(row=at + 1, field=tensor.name, message=message)])
    return values


def _text(value: object, row: int, field: str) -> object:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise invalid([FieldProblem(row=row, field=field, message="is not UTF-8")]) from error


def input_tensors(signature: ModelSignature) -> list[JsonValue]:
    """Describe what the model takes; -1 is any size."""
    return [
        described(
            feature.column,
            "FP64" if feature.type in {"number", *SERIES} else BYTES,
            [-1, -1] if feature.type in SERIES else [-1],
        )
        for feature in signature.inputs
    ]


def output_tensors(signature: ModelSignature) -> list[JsonValue]:
    """Describe what the model answers."""
    tensors = [described(ID, BYTES, [-1])]
    for feature in signature.outputs:
        name, wide = feature.name, feature.type in SERIES
        numeric = wide or feature.type == "number"
        tensors.append(described(name, "FP64" if numeric else BYTES, [-1, -1] if wide else [-1]))
        if feature.type in LABELLED:
            classes = len(feature.categories) if feature.categories else -1
            tensors.append(described(f"{name}_probability", "FP64", [-1]))
            tensors.append(described(f"{name}_probabilities", "FP64", [-1, classes]))
        if feature.type == "image":
            tensors.append(described(f"{name}_share", "FP64", [-1]))
    return list(tensors)


def answer_tensors(signature: ModelSignature, predictions: Sequence[Prediction]) -> list[Tensor]:
    """Make tensors of an answer's predictions."""
    tensors = [_flat(ID, BYTES, [prediction["id"] for prediction in predictions])]
    for feature in signature.outputs:
        said = [prediction.get(feature.name) for prediction in predictions]
        tensors += _output(feature, [one for one in said if isinstance(one, dict)])
    return tensors


def labels_of(feature: str, predictions: Sequence[Prediction]) -> list[str]:
    """Name the columns of an output's probabilities."""
    said = predictions[0].get(feature)
    chances = said.get("probabilities") if isinstance(said, dict) else None
    return list(chances) if isinstance(chances, dict) else []


def _output(feature: ModelFeature, said: list[dict[str, JsonValue]]) -> list[Tensor]:
    if not said:
        return []
    name = feature.name
    tensors = [_prediction(feature, [one.get("prediction") for one in said])]
    tensors += [
        _flat(f"{name}_{part}", "FP64", [one[part] for one in said])
        for part in ("probability", "share")
        if all(part in one for one in said)
    ]
    chances = [one.get("probabilities") for one in said]
    if all(isinstance(row, dict) for row in chances):
        table = [list(row.values()) for row in chances if isinstance(row, dict)]
        tensors += _table(f"{name}_probabilities", table)
    return tensors


def _prediction(feature: ModelFeature, values: list[JsonValue]) -> Tensor:
    if feature.type == "number":
        return _flat(feature.name, "FP64", values)
    if feature.type == "image":
        pictures = [base64.b64decode(str(value)) for value in values]
        return _flat(feature.name, BYTES, pictures)
    if feature.type in SERIES and all(isinstance(value, list) for value in values):
        found = _table(feature.name, [value for value in values if isinstance(value, list)])
        if found:
            return found[0]
    return _flat(feature.name, BYTES, [_word(value) for value in values])


def _word(value: JsonValue) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _flat(name: str, datatype: str, values: Sequence[object]) -> Tensor:
    return Tensor(name, datatype, (len(values),), list(values))


def _table(name: str, rows: Sequence[Sequence[JsonValue]]) -> list[Tensor]:
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return []
    return [Tensor(name, "FP64", (len(rows), width), [value for row in rows for value in row])]
