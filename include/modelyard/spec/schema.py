"""The JSON Schema of specs, for editors; the checks of `spec check` are stricter."""

from __future__ import annotations

from typing import Any, Final

from modelyard.spec import ludwig_schema
from modelyard.spec.models import Spec

type Schema = dict[str, Any]

_FROM: Final = (
    "A file that says the model, relative to this one: a Ludwig configuration such as build's "
    "model.json, or a spec. What stands beside it is laid over it: mappings key by key, features "
    "by name; null takes away."
)
_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_BY_TYPE: Final = "Ludwig's {name}; what else it takes depends on its type."


def json_schema() -> Schema:
    """Return the schema, with a description on every field and Ludwig's main words in `model:`."""
    schema = Spec.model_json_schema()
    definitions = schema.pop("$defs")
    schema["properties"]["model"] = _model(schema["properties"]["model"]["description"])
    document = {
        "$schema": _DRAFT,
        "title": "Modelyard model spec",
        "description": "One model: what it is made of and what it must be.",
        **{key: part for key, part in schema.items() if key not in ("title", "description")},
        "definitions": definitions,
    }
    pointed: Schema = _rewritten(document)
    return pointed


def _rewritten(value: Any) -> Any:
    """Point references to draft 7's place, and drop what editors have no use for."""
    if isinstance(value, list):
        return [_rewritten(part) for part in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, part in value.items():
        if key == "$ref":
            result[key] = part.replace("#/$defs/", "#/definitions/")
        elif key == "prefixItems":
            result["items"] = _rewritten(part)
        elif key != "discriminator" and not (key == "title" and "properties" not in value):
            result[key] = _rewritten(part)
    return _described(result)


def _described(node: Schema) -> Schema:
    """Put a description beside a reference where draft 7 readers see it."""
    if "$ref" in node and len(node) > 1:
        return {"allOf": [{"$ref": node.pop("$ref")}], **node}
    return node


def _model(description: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "anyOf": [{"required": ["input_features", "output_features"]}, {"required": ["from"]}],
        "properties": {
            "from": {"type": "string", "description": _FROM},
            "input_features": _features("input", "encoder"),
            "output_features": _features("output", "decoder"),
            "combiner": _typed("combiner", ludwig_schema.types_of("combiner")),
            "trainer": {
                "type": "object",
                "description": "How the model is trained.",
                "properties": _trainer(),
                "additionalProperties": False,
            },
            "preprocessing": {"type": "object", "description": "Preprocessing of all features."},
            "defaults": {"type": "object", "description": "Defaults by feature type."},
        },
    }


def _trainer() -> Schema:
    return {
        key: {"description": text or f"Ludwig's trainer.{key}."}
        for key, text in sorted(ludwig_schema.trainer_keys().items())
    }


def _features(side: str, part: str) -> Schema:
    types = ludwig_schema.types_of(f"{side}_features")
    return {
        "type": "array",
        "minItems": 1,
        "description": f"The model's {side}s.",
        "items": {
            "type": "object",
            "description": f"One {side}.",
            "required": ["name", "type"],
            "properties": {
                "name": {"type": "string", "description": "The name, and the column unless given."},
                "type": {"enum": types, "description": "Ludwig's feature type."},
                "column": {"type": "string", "description": "The table's column."},
                part: _typed(part, None),
                "preprocessing": {"type": "object", "description": "How values are prepared."},
            },
        },
    }


def _typed(name: str, types: list[str] | None) -> Schema:
    kind: Schema = {"type": "string"} if types is None else {"enum": types}
    return {
        "type": "object",
        "description": _BY_TYPE.format(name=name),
        "properties": {"type": {**kind, "description": f"The kind of {name}."}},
    }
