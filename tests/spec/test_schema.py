"""The JSON Schema for editors is current, described throughout, and agrees with the loader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelyard.spec import yaml_text
from modelyard.spec.load import find_specs
from modelyard.spec.schema import json_schema

SPECS = Path(__file__).parents[2] / "model_specs"
SCHEMA = json_schema()


def properties(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, part in node.get("properties", {}).items():
            yield f"{path}.{name}", part
        for key, part in node.items():
            yield from properties(part, f"{path}.{key}")
    elif isinstance(node, list):
        for part in node:
            yield from properties(part, path)


def described(part: Any) -> bool:
    definition = SCHEMA["definitions"].get(part.get("$ref", "").rsplit("/", 1)[-1], {})
    return bool(part.get("description") or definition.get("description"))


def test_the_file_in_model_specs_is_current() -> None:
    assert json.loads((SPECS / "schema.json").read_text(encoding="utf-8")) == SCHEMA, (
        "run: modelyard spec schema > model_specs/schema.json"
    )


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_every_field_is_described() -> None:
    bare = [path for path, part in properties(SCHEMA) if not described(part)]
    assert bare == []


@pytest.mark.parametrize("path", find_specs(SPECS), ids=lambda path: path.stem)
def test_it_accepts_the_specs_that_ship(path: Path) -> None:
    value, _places, _findings = yaml_text.read(path.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(SCHEMA).validate(value)


@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"name": "With Blank"}, {"gate": [{"metric": "x"}, 3]}, {"model": {}}]
)
def test_it_shows_plain_mistakes_while_typing(raw: dict[str, Any], change: dict[str, Any]) -> None:
    assert jsonschema.Draft7Validator(SCHEMA).is_valid(raw)
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(raw | change)


def test_an_unknown_key_of_the_trainer_is_shown_while_typing(raw: dict[str, Any]) -> None:
    raw["model"]["trainer"]["epoch"] = 3
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(raw)
