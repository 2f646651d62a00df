"""What the spec's own fields are, as hints need it: known keys, and where a misplaced key belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import JsonValue

from modelyard.spec.lines import FieldPath
from modelyard.spec.models import Spec

type Node = Mapping[str, Any]


@cache
def _schema() -> Node:
    return Spec.model_json_schema()


def known_keys(path: FieldPath, value: JsonValue) -> list[str]:
    """List the keys that the mapping at `path` of this spec may have."""
    node = _at(path, value)
    return list(node.get("properties", ())) if node else []


def description(path: FieldPath, value: JsonValue) -> str | None:
    """Return the words that describe a field."""
    *parent, key = path
    node = _at(tuple(parent), value) or {}
    text = node.get("properties", {}).get(key, {}).get("description")
    return text if isinstance(text, str) else None


def home_of(key: str) -> str | None:
    """Say in which section a key belongs, if there is only one such."""
    homes = {home for name, home in _all_keys(_schema(), ()) if name == key and home}
    return homes.pop() if len(homes) == 1 else None


def _all_keys(node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, part in _resolved(node).get("properties", {}).items():
        yield name, ".".join(path)
        if "properties" in _resolved(part):
            yield from _all_keys(part, (*path, name))


def _at(path: FieldPath, value: JsonValue) -> Node | None:
    """Walk to a field's schema, choosing among alternatives by the value's own tag."""
    node: Node = _schema()
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        step = _step(node, part)
        if step is None:
            return None
        node = _resolved(step, value)
    return node


def _step(node: Node, part: str | int) -> Node | None:
    if isinstance(part, int):
        items = node.get("items")
        return items if isinstance(items, dict) else None
    inner = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return inner if isinstance(inner, dict) else None


def _resolved(node: Node, value: JsonValue = None) -> Node:
    """Follow references, pass over null, and choose by discriminator."""
    while True:
        if "discriminator" in node:
            rule = node["discriminator"]
            tag = value.get(rule["propertyName"]) if isinstance(value, dict) else None
            node = {"$ref": rule["mapping"].get(tag, "")} if isinstance(tag, str) else {}
        if "$ref" in node:
            node = _schema()["$defs"].get(node["$ref"].rsplit("/", 1)[-1], {})
        elif "anyOf" in node:
            others = [part for part in node["anyOf"] if part.get("type") != "null"]
            if len(others) != 1:
                return node
            node = others[0]
        else:
            return node
