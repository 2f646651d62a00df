"""The trigger form, in the words of the spec's own fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from airflow.sdk import Param
from pydantic import BaseModel, JsonValue

from modelyard.spec.data import DataSpec
from modelyard.spec.models import Spec

SPEC = "spec"
REVISION = "revision"
TUNE = "tune"
CROSS_VALIDATE = "cross_validate"
OVERRIDES = "overrides"
FRESH = "fresh"

AS_SPEC = "as the spec says"
SWITCH = {AS_SPEC: None, "yes": True, "no": False}
SECTION = "Overrides of single fields"
LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
CHOSEN_ELSEWHERE = frozenset({"version", "name", "description", "data", "model", "gate"})


class Choices(TypedDict):
    """What `runs.begin` is to be told."""

    revision: str | None
    tune: bool | None
    cross_validate: bool | None
    overrides: dict[str, JsonValue]
    fresh: bool


def spec_params(spec: Spec) -> dict[str, Param]:
    """The form of one spec's DAG, filled in as the spec says."""
    params = {REVISION: _revision(spec.data.revision)}
    if spec.tune is not None:
        params[TUNE] = Param(
            default=True, type="boolean", title="Tune", description=_sentence(Spec, "tune")
        )
    params[CROSS_VALIDATE] = Param(
        default=spec.cross_validation is not None,
        type="boolean",
        title="Cross-validate",
        description=_sentence(Spec, "cross_validation"),
    )
    return params | {OVERRIDES: _overrides(), FRESH: _fresh()}


def any_params(labels: Mapping[str, str]) -> dict[str, Param]:
    """The form for any spec: `labels` is each spec's name and what the drop-down shows for it."""
    names = list(labels)
    spec = Param(
        default=names[0] if names else "",
        type="string",
        enum=names or [""],
        values_display=dict(labels),
        title="Spec",
        description="Which model to train.",
    )
    switches = {
        TUNE: _switch("Tune", _sentence(Spec, "tune")),
        CROSS_VALIDATE: _switch("Cross-validate", _sentence(Spec, "cross_validation")),
    }
    return (
        {SPEC: spec, REVISION: _revision(None)}
        | switches
        | {OVERRIDES: _overrides(), FRESH: _fresh()}
        | dict(_fields())
    )


def choices(params: Mapping[str, Any]) -> Choices:
    """Read a filled-in form, which Airflow has checked against its schema."""
    chosen = {key: _decided(params.get(key)) for key, _ in _fields()}
    fields = {key: value for key, value in chosen.items() if value is not None}
    return {
        "revision": params.get(REVISION) or None,
        "tune": _decided(params.get(TUNE)),
        "cross_validate": _decided(params.get(CROSS_VALIDATE)),
        "overrides": fields | dict(params.get(OVERRIDES) or {}),
        "fresh": bool(params.get(FRESH)),
    }


def _decided(value: Any) -> Any:
    return SWITCH.get(value, value) if isinstance(value, str) else value


def _revision(default: str | None) -> Param:
    return Param(
        default=default,
        type=["null", "string"],
        title="Data revision",
        description=_sentence(DataSpec, "revision") + " Empty: as the spec says.",
    )


def _switch(title: str, description: str) -> Param:
    return Param(
        default=AS_SPEC, type="string", enum=list(SWITCH), title=title, description=description
    )


def _overrides() -> Param:
    return Param(
        default={},
        type="object",
        title="Overrides",
        description='Dotted fields of the spec and their values for this run, such as {"model.trainer.epochs": 5, "data.split.seed": 1}.',
    )


def _fresh() -> Param:
    return Param(
        default=False,
        type="boolean",
        title="Fresh",
        description="Make everything anew, also what an earlier run already made of the same spec and data.",
    )


def _sentence(model: type[BaseModel], field: str) -> str:
    return _short(model.model_fields[field].description or "")


def _short(description: str) -> str:
    """What a field is, without what its value may be in YAML."""
    return description.partition(";")[0].rstrip(".") + "."


def _fields() -> Iterator[tuple[str, Param]]:
    """One optional entry for each single value of the spec, taken from its JSON Schema."""
    schema = Spec.model_json_schema()
    for path, field in _leaves(schema, schema["$defs"], ""):
        words = {"title": path, "section": SECTION, "description": _short(field["description"])}
        values = list(SWITCH)[1:] if field["type"] == "boolean" else field.get("enum")
        if values is not None:
            yield path, Param(default=AS_SPEC, type="string", enum=[AS_SPEC, *values], **words)
            continue
        limits = {key: field[key] for key in LIMITS if key in field}
        yield path, Param(default=None, type=["null", field["type"]], **words, **limits)


type Schema = Mapping[str, Any]


def _leaves(schema: Schema, definitions: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
    for name, raw in schema.get("properties", {}).items():
        if not prefix and name in CHOSEN_ELSEWHERE:
            continue
        field = _plain(raw, definitions)
        if "properties" in field:
            yield from _leaves(field, definitions, f"{prefix}{name}.")
        elif field.get("type") in {"integer", "number", "boolean", "string"}:
            yield f"{prefix}{name}", field


def _plain(field: Schema, definitions: Schema) -> Schema:
    """Follow a reference, and take the one thing that a nullable field may be."""
    options = [option for option in field.get("anyOf", []) if option.get("type") != "null"]
    inner = options[0] if len(options) == 1 else field
    if "$ref" in inner:
        inner = definitions[inner["$ref"].rpartition("/")[2]]
    return {**inner, "description": field.get("description", inner.get("description", ""))}
