"""Check labels that callers send, against the outputs of the model that predicted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from pydantic import JsonValue

from modelyard.features import ModelFeature, ModelSignature
from modelyard.store.records import Label, LabelsSaved
from serving.http.problems import FieldProblem, Refusal, invalid

MOST_LABELS: Final = 1000
MOST_NAMED: Final = 10
LONGEST_TEXT: Final = 10_000
LARGEST_NUMBER: Final = 3.4e38
EXAMPLE: Final = '{"labels": [{"id": "ID", "value": VALUE}]}'
_ID: Final = re.compile(r"[0-9a-f]{32}")
_IDENTITY: Final = "id"
_OUTPUT: Final = "output"
_VALUE: Final = "value"
_KEYS: Final = (_IDENTITY, _OUTPUT, _VALUE)
_UNLABELLED: Final = frozenset({"image"})


def check_labels(
    signatures: Sequence[ModelSignature], sent: Sequence[object], by: str | None
) -> list[Label]:
    """Return labels as they are kept.

    Args:
        signatures: Of the model's deployed versions, the champion's first; a value must fit one.
        sent: One object each: `id` of the prediction, `value`, and `output` where there are several.
        by: Who says so.

    Raises:
        Refusal: 413 for too many, 422 naming each row and field that is wrong.
    """
    if not sent:
        raise invalid([FieldProblem(field="labels", message=f"has no label; send {EXAMPLE}")])
    if len(sent) > MOST_LABELS:
        detail = f"{len(sent)} labels are too many; send at most {MOST_LABELS} at a time"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    outputs = _outputs(signatures)
    problems: list[FieldProblem] = []
    labels: list[Label] = []
    for row, item in enumerate(sent, start=1):
        try:
            labels.append(_label(outputs, item, by))
        except _WrongError as error:
            problems.append(FieldProblem(row=row, field=error.field, message=error.message))
    if problems:
        raise invalid(problems)
    return labels


def answer_of(model: str, saved: LabelsSaved) -> dict[str, JsonValue]:
    """Say what became of labels; raise Refusal, 404, if the model made no such prediction."""
    if saved.unknown and not saved.saved + saved.replaced:
        named = ", ".join(saved.unknown[:MOST_NAMED])
        more = len(saved.unknown) - MOST_NAMED
        others = f" and {more} more" if more > 0 else ""
        detail = f"{model} made no prediction {named}{others}; ids are those of its answers"
        raise Refusal(HTTPStatus.NOT_FOUND, detail)
    document = saved.model_dump(mode="json")
    return {"model": model, **document}


class _WrongError(ValueError):
    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


type _Outputs = Mapping[str, Sequence[ModelFeature]]


def _outputs(signatures: Sequence[ModelSignature]) -> _Outputs:
    """Name each output, with what every version says of it."""
    found: dict[str, list[ModelFeature]] = {}
    for signature in signatures:
        for feature in signature.outputs:
            if feature not in found.setdefault(feature.name, []):
                found[feature.name].append(feature)
    return found


def _label(outputs: _Outputs, item: object, by: str | None) -> Label:
    if not isinstance(item, Mapping):
        raise _WrongError(None, f"must be an object; send {EXAMPLE}")
    if others := [str(name) for name in item if name not in _KEYS]:
        raise _WrongError(others[0][:100], f"is not known here; send {EXAMPLE}")
    identity = item.get("id")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise _WrongError(
            _IDENTITY, "must be the id of a prediction, 32 hex digits as it was answered"
        )
    output = _output(outputs, item.get("output"))
    value = _value(outputs[output], item.get("value"))
    return Label(prediction=identity, output=output, value=value, by=by)


def _output(outputs: _Outputs, said: object) -> str:
    names = ", ".join(outputs)
    if said is None and len(outputs) == 1:
        return next(iter(outputs))
    if said is None:
        raise _WrongError(_OUTPUT, f"is missing; the model predicts {names}")
    if not isinstance(said, str) or said not in outputs:
        raise _WrongError(_OUTPUT, f"is not what the model predicts, which is {names}")
    return said


def _value(features: Sequence[ModelFeature], value: object) -> JsonValue:
    """Take a value that fits any version's feature; else say why it does not fit the champion's."""
    wrong: _WrongError | None = None
    for feature in features:
        try:
            return _fitting(feature, value)
        except _WrongError as error:
            wrong = wrong or error
    assert wrong is not None
    raise wrong


def _fitting(feature: ModelFeature, value: object) -> JsonValue:
    if value is None:
        raise _WrongError(_VALUE, "is missing")
    if feature.type in _UNLABELLED:
        message = f"cannot be said of {feature.name}, which is an image"
        raise _WrongError(_VALUE, message)
    if feature.type == "number":
        return _number(value)
    if feature.type in {"category", "binary"}:
        return _class(feature, value)
    if feature.type in {"timeseries", "vector"}:
        return _numbers(value)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or "\0" in value:
        raise _WrongError(_VALUE, f"must be text of at most {LONGEST_TEXT} characters")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongError(_VALUE, "must be a number")
    if not math.isfinite(value) or abs(value) > LARGEST_NUMBER:
        raise _WrongError(_VALUE, "must be a finite number")
    return float(value)


def _numbers(value: object) -> JsonValue:
    if not isinstance(value, list) or not 0 < len(value) <= LONGEST_TEXT:
        raise _WrongError(_VALUE, f"must be a list of 1 to {LONGEST_TEXT} numbers")
    return [_number(item) for item in value]


def _class(feature: ModelFeature, value: object) -> str:
    if not isinstance(value, str | bool | int | float):
        raise _WrongError(_VALUE, "must be the name of a class")
    known = feature.categories or ()
    spelled = [str(value), str(value).capitalize(), str(value).lower()]
    if isinstance(value, float) and value.is_integer():
        spelled.append(str(int(value)))
    if isinstance(value, int):
        spelled += [str(int(value)), str(float(value))]
    for text in spelled:
        if text in known:
            return text
    if known:
        more = ["..."] if len(known) > MOST_NAMED else []
        shown = ", ".join([*known[:MOST_NAMED], *more])
        raise _WrongError(_VALUE, f"must be one of {shown}, and is {str(value)[:40]!r}")
    return str(value)[:LONGEST_TEXT]
