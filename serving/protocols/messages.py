"""Requests and answers of the Open Inference Protocol as they are on the wire."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from modelyard.features import ModelSignature
from serving.http.answers import json_response
from serving.http.problems import Refusal
from serving.protocols.tensor_rows import answer_tensors, labels_of
from serving.protocols.tensors import (
    BINARY_SIZE,
    Tensor,
    described,
    read_tensors,
    refuse,
    to_binary,
)
from serving.requests.reading import media_type, read_body
from serving.requests.strict_json import parse_json

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
TYPES: Final = frozenset({"application/json", "application/octet-stream"})
PROBABILITIES: Final = "_probabilities"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request wants answered, and in which form."""

    id: str | None
    names: tuple[str, ...]
    binary: frozenset[str]
    all_binary: bool

    def as_binary(self, name: str) -> bool:
        """Whether an output is to be sent as binary data."""
        return self.all_binary or name in self.binary


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    inputs: list[Tensor]
    wanted: Wanted


async def read_request(request: Request) -> Asked:
    """Read a request, with binary data behind its JSON or without.

    Raises:
        Refusal: 400, 408, 413, 415 or 422.
    """
    kind = media_type(request)
    if kind not in TYPES:
        detail = f"content type {kind[:100]} is not taken; send {' or '.join(sorted(TYPES))}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    body = await read_body(request)
    length = _header_length(request, len(body))
    document = parse_json(body[:length])
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        refuse("the request must be an object with a list of inputs")
    return Asked(read_tensors(document["inputs"], body[length:]), _wanted(document))


def _header_length(request: Request, size: int) -> int:
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return size
    if len(text) > 10 or not (text.isascii() and text.isdecimal()) or int(text) > size:  # noqa: PLR2004 - digits
        refuse(f"{HEADER_LENGTH} must be at most the body's length, {size}")
    return int(text)


def _wanted(document: Mapping[str, Any]) -> Wanted:
    identity, outputs = document.get("id"), document.get("outputs", [])
    if identity is not None and not isinstance(identity, str):
        refuse("id must be text")
    if not isinstance(outputs, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in outputs
    ):
        refuse("outputs must be a list of objects with a name")
    binary = [item["name"] for item in outputs if _flag(item, "binary_data")]
    return Wanted(
        id=identity,
        names=tuple(dict.fromkeys(item["name"] for item in outputs)),
        binary=frozenset(binary),
        all_binary=_flag(document, "binary_data_output") and not outputs,
    )


def _flag(item: Mapping[str, Any], name: str) -> bool:
    parameters = item.get("parameters")
    return isinstance(parameters, dict) and parameters.get(name) is True


def written(
    model: str, asked: Asked, signature: ModelSignature, answer: Mapping[str, Any]
) -> Response:
    """Write the answer to a request; its version is that of the variant which answered.

    Raises:
        Refusal: 400, an output is wanted that does not exist.
    """
    predictions = answer["predictions"]
    tensors = {tensor.name: tensor for tensor in answer_tensors(signature, predictions)}
    names = asked.wanted.names or tuple(tensors)
    for name in names:
        if name not in tensors:
            refuse(f"there is no output {name[:100]!r}; there is {', '.join(tensors)}")
    heads: list[JsonValue] = []
    tail: list[bytes] = []
    for name in names:
        head, data = _output(tensors[name], asked.wanted.as_binary(name))
        if name.endswith(PROBABILITIES):
            labels: list[JsonValue] = [*labels_of(name.removesuffix(PROBABILITIES), predictions)]
            head["parameters"] = {**_dict(head.get("parameters")), "labels": labels}
        heads.append(head)
        tail.append(data)
    content: dict[str, JsonValue] = {
        "model_name": model,
        "model_version": str(predictions[0]["version"]),
        **({} if asked.wanted.id is None else {"id": asked.wanted.id}),
        "outputs": heads,
    }
    return _response(content, b"".join(tail))


def _dict(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _output(tensor: Tensor, binary: bool) -> tuple[dict[str, JsonValue], bytes]:
    head = described(tensor.name, tensor.datatype, tensor.shape)
    if not binary:
        head["data"] = [_plain(value) for value in tensor.values]
        return head, b""
    data = to_binary(tensor.datatype, tensor.values)
    head["parameters"] = {BINARY_SIZE: len(data)}
    return head, data


def _plain(value: Any) -> JsonValue:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _response(content: Mapping[str, JsonValue], tail: bytes) -> Response:
    if not tail:
        return json_response(content)
    head = orjson.dumps(content)
    return Response(
        head + tail,
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(head))},
    )
