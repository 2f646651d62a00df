"""Read the labels that a request brings."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import Request

from serving.http.problems import Refusal, invalid, refuse_field
from serving.requests.reading import media_type, read_body
from serving.requests.strict_json import parse_json

MOST_LABELS: Final = 1000
EXAMPLE: Final = '{"labels": [{"id": "ID", "value": VALUE}]}'


async def read_labels(request: Request) -> tuple[list[object], list[int]]:
    """Return labels, one output each, and which entry of the request each came from, from 1.

    An entry is `{"id", "value"}`, with `"output"` where the model has several, or
    `{"id", "outputs": {OUTPUT: VALUE}}`.

    Raises:
        Refusal: 400, 408, 413, 415 or 422.
    """
    kind = media_type(request)
    if kind != "application/json" and not kind.endswith("+json"):
        detail = f"content type {kind[:100]} is not taken; send application/json"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    document = parse_json(await read_body(request))
    if not isinstance(document, dict) or not isinstance(document.get("labels"), list):
        refuse_field("labels", f"is missing; send {EXAMPLE}")
    if others := [name for name in document if name != "labels"]:
        refuse_field(others[0][:100], f"is not known here; send {EXAMPLE}")
    if len(document["labels"]) > MOST_LABELS:
        raise _too_many(len(document["labels"]))
    labels = [(at, one) for at, entry in enumerate(document["labels"], 1) for one in _each(entry)]
    if len(labels) > MOST_LABELS:
        raise _too_many(len(labels))
    return [label for _, label in labels], [at for at, _ in labels]


def _too_many(count: int) -> Refusal:
    detail = f"{count} labels are too many; send at most {MOST_LABELS} at a time"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def by_origin(refusal: Refusal, origin: list[int]) -> Refusal:
    """Say the rows of a refusal as the request counts them."""
    errors = [
        problem.model_copy(update={"row": origin[problem.row - 1]}) if problem.row else problem
        for problem in refusal.document.errors
    ]
    return invalid(errors) if errors else refusal


def _each(entry: object) -> list[object]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("outputs"), Mapping):
        return [entry]
    rest = {name: value for name, value in entry.items() if name != "outputs"}
    return [{**rest, "output": name, "value": value} for name, value in entry["outputs"].items()]
