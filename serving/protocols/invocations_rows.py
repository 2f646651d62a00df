"""Rows out of the formats of MLflow's scoring server."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from modelyard.features import ModelSignature
from serving.http.problems import FieldProblem, Refusal, invalid, refuse_field
from serving.requests.bodies import MOST_ROWS, Rows, objects

FORMATS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
PARAMS: Final = "params"
MOST_CELLS: Final = 200_000


def rows_of_csv(body: bytes) -> list[Mapping[str, object]]:
    """Take rows out of a table with a head; an empty cell is a missing value.

    Raises:
        Refusal: 400, it is not such a table; 413 or 422 as for other rows.
    """
    if body.count(b",") > MOST_CELLS:
        detail = f"the table has more than {MOST_CELLS} cells; send fewer rows at a time"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        head = next(lines, [])
        _check_names(head)
        rows: list[object] = []
        for line in lines:
            if not line:
                continue
            if len(rows) > MOST_ROWS:
                break
            if len(line) != len(head):
                message = f"has {len(line)} cells, and the head {len(head)}"
                raise invalid([FieldProblem(row=len(rows) + 1, message=message)])
            rows.append({name: cell or None for name, cell in zip(head, line, strict=True)})
    except (csv.Error, UnicodeDecodeError) as error:
        detail = f"the body is not a CSV table in UTF-8: {error}"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error
    return objects(rows)


def rows_of_document(
    document: object, signature: ModelSignature
) -> tuple[Rows, Mapping[str, object]]:
    """Take rows and params out of one of MLflow's JSON formats.

    Raises:
        Refusal: 413 or 422.
    """
    if not isinstance(document, dict):
        refuse_field("body", f"must be an object with one of {', '.join(FORMATS)}")
    said = [name for name in document if name != PARAMS]
    if len(said) != 1 or said[0] not in FORMATS:
        refuse_field("body", f"must hold exactly one of {', '.join(FORMATS)}")
    params = document.get(PARAMS) or {}
    if not isinstance(params, dict):
        refuse_field(PARAMS, "must be an object")
    [kind] = said
    data = document[kind]
    if kind == "dataframe_split":
        return Rows(objects(_split(data))), params
    if kind == "dataframe_records":
        rows = objects(_list(kind, data))
        return Rows([{name: _given(row[name]) for name in row} for row in rows]), params
    return Rows(objects(_tensors(kind, data, signature))), params


def _list(kind: str, data: object) -> list[object]:
    if not isinstance(data, list):
        refuse_field(kind, "must be a list")
    return data


def _split(data: object) -> list[object]:
    """Pandas' `orient="split"`: names, and a list of values a row."""
    if not isinstance(data, dict) or not isinstance(data.get("columns"), list):
        refuse_field("dataframe_split", "must be an object with columns and data")
    columns = data["columns"]
    _check_names(columns)
    return _named(_list("dataframe_split.data", data.get("data")), columns)


def _check_names(columns: Sequence[object]) -> None:
    if not columns or not all(isinstance(name, str) for name in columns):
        refuse_field("columns", "must be names, one a column")
    if len(set(columns)) != len(columns):
        refuse_field("columns", "holds a name twice")


def _named(rows: Sequence[object], columns: Sequence[str]) -> list[object]:
    named: list[object] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != len(columns):
            message = f"must be a list of {len(columns)} values, one a column"
            raise invalid([FieldProblem(row=number, message=message)])
        named.append({name: _given(value) for name, value in zip(columns, row, strict=True)})
    return named


def _given(value: object) -> object:
    """Pandas and MLflow's client write a missing value as NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _tensors(kind: str, data: object, signature: ModelSignature) -> list[object]:
    """TensorFlow Serving's forms: rows, or an object of columns.

    Rows are objects, lists of the model's inputs in their order, or, for a model of one input,
    plain values.
    """
    if isinstance(data, dict):
        return _columns(kind, data)
    rows = _list(kind, data)
    if rows and isinstance(rows[0], dict):
        return rows
    columns = [feature.column for feature in signature.inputs]
    if len(columns) == 1:
        return [{columns[0]: value} for value in rows]
    return _named(rows, columns)


def _columns(kind: str, data: Mapping[str, object]) -> list[object]:
    lists = {name: value if isinstance(value, list) else [value] for name, value in data.items()}
    counts = {len(values) for values in lists.values()}
    if len(counts) > 1:
        refuse_field(kind, "has columns of different lengths")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
