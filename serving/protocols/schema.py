"""What OpenAPI says of the Open Inference Protocol's requests and answers."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from serving.protocols.tensors import BYTES, DTYPES


class ProtocolError(BaseModel):
    """An error, as the protocol writes it."""

    error: str = Field(description="What is wrong and what to do.")


class Live(BaseModel):
    """The server is up."""

    live: bool = Field(description="True.")


class ServerReady(BaseModel):
    """The server can answer."""

    ready: bool = Field(description="True.")


class ModelReady(BaseModel):
    """A model can answer."""

    name: str = Field(description="The model's name.")
    ready: bool = Field(description="True.")


class ServerMetadata(BaseModel):
    """What the server is."""

    name: str = Field(description="modelyard.")
    version: str = Field(description="Its version.")
    extensions: list[str] = Field(description="Parts of the protocol beyond its core.")


class TensorMetadata(BaseModel):
    """What a tensor is."""

    name: str = Field(description="Its name.")
    datatype: str = Field(description="BYTES, BOOL, FP64 and so on.")
    shape: list[int] = Field(description="Its sizes, the batch's first; -1 is any.")


class ModelMetadata(BaseModel):
    """What a model takes and answers."""

    name: str = Field(description="The model's name.")
    versions: list[str] = Field(description="Its deployed versions.")
    platform: str = Field(description="modelyard.")
    inputs: list[TensorMetadata] = Field(description="One a column.")
    outputs: list[TensorMetadata] = Field(description="What can be asked for.")


class AnswerTensor(TensorMetadata):
    """A tensor of an answer."""

    model_config = ConfigDict(extra="allow")

    data: list[JsonValue] | None = Field(
        default=None, description="Its values, flat, row after row; absent where sent as binary."
    )
    parameters: dict[str, JsonValue] = Field(
        default={}, description="The labels of probabilities; the size of binary data."
    )


class InferAnswer(BaseModel):
    """The answer to a batch."""

    model_name: str = Field(description="The model's name.")
    model_version: str = Field(description="The version that answered.")
    id: str | None = Field(default=None, description="The request's id, if it had one.")
    outputs: list[AnswerTensor] = Field(description="All outputs, or those asked for.")


_TENSOR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string", "description": "The column."},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        "datatype": {"type": "string", "enum": [BYTES, *DTYPES]},
        "data": {"type": "array", "description": "Flat, or as deep as the shape."},
        "parameters": {"type": "object"},
    },
}
INFER_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "parameters": {"type": "object"},
                    "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
                    "outputs": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {
                                "name": {"type": "string"},
                                "parameters": {"type": "object"},
                            },
                        },
                    },
                },
            }
        },
        "application/octet-stream": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "JSON, and behind it the binary data of tensors.",
            }
        },
    },
}
VERSION: Final[dict[str, Any]] = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "A deployed version, also one without traffic.",
    "schema": {"type": "string"},
}
HEADER_LENGTH_PARAMETER: Final[dict[str, Any]] = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "How many bytes of the body are JSON, where binary data follow.",
    "schema": {"type": "integer", "minimum": 0},
}
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": ProtocolError, "description": "A refusal, in the protocol's form."},
    "5XX": {"model": ProtocolError, "description": "Not now, in the protocol's form."},
}
