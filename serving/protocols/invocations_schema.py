"""What OpenAPI says of MLflow's scoring protocol."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, Field, JsonValue


class InvocationsAnswer(BaseModel):
    """The answer to an invocation."""

    predictions: list[dict[str, JsonValue]] = Field(
        description="One a row: id, version, and OUTPUT, OUTPUT_probability, OUTPUT_probabilities."
    )


_PARAMS: Final = {"type": "object", "description": "The options probabilities and mask."}


def _only(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name],
        "additionalProperties": False,
        "properties": {name: schema, "params": _PARAMS},
    }


_RECORDS: Final = {"type": "array", "minItems": 1, "items": {"type": "object"}}
_SPLIT: Final = {
    "type": "object",
    "required": ["columns", "data"],
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}},
        "index": {"type": "array"},
        "data": {"type": "array", "items": {"type": "array"}},
    },
}
_EITHER: Final = {"anyOf": [{"type": "array"}, {"type": "object"}]}
INVOCATIONS_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    _only("dataframe_split", _SPLIT),
                    _only("dataframe_records", _RECORDS),
                    _only("instances", _EITHER),
                    _only("inputs", _EITHER),
                ]
            }
        },
        "text/csv": {"schema": {"type": "string", "description": "A head and a line a row."}},
    },
}
