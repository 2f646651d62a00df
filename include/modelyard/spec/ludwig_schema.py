"""Check `model:` against Ludwig's own schema, strictly, without importing Ludwig.

Ludwig deletes most unknown keys with only a warning. `scripts/cache_ludwig_schema.py` has kept its
schema in ``ludwig_schema.json`` as numbered nodes: ``t`` JSON types, ``enum``, limits, ``keys`` of a
mapping, and ``cases``: further keys, chosen by the mapping's ``type``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Final

from pydantic import JsonValue

from modelyard.spec.hints import did_you_mean, listed, nearest, shown
from modelyard.spec.lines import FieldPath, Finding

type Node = Mapping[str, Any]

FILE: Final = Path(__file__).with_name("ludwig_schema.json")
_WORDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping of keys to values",
    "array": "a list",
    "null": "null",
}
_PYTHON: Final = {
    "string": str,
    "number": int | float,
    "object": dict,
    "array": list,
    "null": NoneType,
}


@cache
def cached() -> Node:
    """Read the cached document once."""
    document: Node = json.loads(FILE.read_bytes())
    return document


def _node(number: int) -> Node:
    node: Node = cached()["nodes"][number]
    return node


def check(config: JsonValue) -> list[Finding]:
    """Return everything in a Ludwig configuration that Ludwig would refuse or silently delete."""
    return list(_check(_node(cached()["root"]), config, ()))


def home_of(key: str) -> str | None:
    """Say where in `model:` a key belongs, if it is one of its sections or of its trainer."""
    root = _node(cached()["root"])["keys"]
    if key in root:
        return "model"
    return "model.trainer" if key in _node(root["trainer"])["keys"] else None


def is_section(key: str) -> bool:
    """Tell whether `model:` has a section of this name."""
    return key in _node(cached()["root"])["keys"]


def metrics(kind: str) -> dict[str, str]:
    """Return the metrics of an output type and for each `maximize` or `minimize`."""
    return {**cached()["metrics"].get(kind, {}), "loss": "minimize"}


def output_types() -> list[str]:
    """List the types that an output feature may have."""
    item = _node(_node(_node(cached()["root"])["keys"]["output_features"])["items"])
    return list(item["cases"])


def trainer_keys() -> dict[str, str]:
    """Return the trainer's keys with Ludwig's descriptions."""
    keys: dict[str, str] = cached()["trainer"]
    return keys


def types_of(section: str) -> list[str]:
    """List the types of input features, output features or combiners."""
    node = _node(_node(cached()["root"])["keys"][section])
    node = _node(node["items"]) if "items" in node else node
    return list(node["cases"])


def _check(node: Node, value: JsonValue, path: FieldPath) -> Iterator[Finding]:
    if "any" in node:
        yield from _alternatives(node, value, path)
        return
    if value in node.get("also", ()):
        return
    if "t" in node and not any(_is(kind, value) for kind in node["t"]):
        yield _wrong_type(node, value, path)
        return
    if "enum" in node and not any(
        value == option and type(value) is type(option) for option in node["enum"]
    ):
        yield _wrong_option(node["enum"], value, path)
        return
    if "words" in node and isinstance(value, str) and value not in node["words"]:
        yield _wrong_word(node, value, path)
    if "pattern" in node and isinstance(value, str) and not re.search(node["pattern"], value):
        yield Finding(path, f"must match {node['pattern']}, not {shown(value)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _limits(node, value, path)
    if isinstance(value, dict) and "keys" in node:
        yield from _mapping(node, value, path)
    if isinstance(value, list):
        yield from _list(node, value, path)


def _is(kind: str, value: JsonValue) -> bool:
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _PYTHON[kind])


def _wrong_type(node: Node, value: JsonValue, path: FieldPath) -> Finding:
    kinds = sorted(dict.fromkeys(node["t"]), key=lambda kind: kind == "null")
    wanted = " or ".join(_WORDS[kind] for kind in kinds)
    hint = None
    if isinstance(value, str) and "cases" in node:
        near = nearest(value, node["cases"])
        hint = f"write {{type: {near}}}" if near else f"types: {listed(node['cases'])}"
    elif isinstance(value, str) and re.fullmatch(r"[-+.\deE]+|true|false", value):
        hint = "without quotes"
    elif isinstance(value, str) and node["t"] == ["boolean"]:
        hint = "write true or false"
    elif value is None:
        hint = "write a value, or take the line away"
    return Finding(path, f"must be {wanted}, not {shown(value)}", hint)


def _wrong_option(options: list[JsonValue], value: JsonValue, path: FieldPath) -> Finding:
    names = ["null" if option is None else str(option) for option in options]
    return Finding(
        path, f"{shown(value)} is not an option here", did_you_mean(value, names, of="options")
    )


def _wrong_word(node: Node, value: str, path: FieldPath) -> Finding:
    others = [_WORDS[kind] for kind in node["t"] if kind not in ("string", "null")]
    wanted = " or ".join([*(f"`{word}`" for word in node["words"]), *others])
    hint = "without quotes" if re.fullmatch(r"[-+.\deE]+", value) else None
    return Finding(path, f"must be {wanted}, not {shown(value)}", hint)


def _limits(node: Node, value: float, path: FieldPath) -> Iterator[Finding]:
    if value < node.get("ge", value):
        yield Finding(path, f"must be {node['ge']:g} or more, not {value:g}")
    if value > node.get("le", value):
        yield Finding(path, f"must be {node['le']:g} or less, not {value:g}")
    if "gt" in node and value <= node["gt"]:
        yield Finding(path, f"must be above {node['gt']:g}, not {value:g}")
    if "lt" in node and value >= node["lt"]:
        yield Finding(path, f"must be below {node['lt']:g}, not {value:g}")


def _alternatives(node: Node, value: JsonValue, path: FieldPath) -> Iterator[Finding]:
    parts = [_node(number) for number in node["any"]]
    fitting = [part for part in parts if any(_is(kind, value) for kind in part.get("t", _WORDS))]
    results = [list(_check(part, value, path)) for part in fitting]
    if not results:
        kinds = [kind for part in parts for kind in part.get("t", ())]
        cases = next((part["cases"] for part in parts if "cases" in part), None)
        yield _wrong_type({"t": kinds} | ({"cases": cases} if cases else {}), value, path)
    elif all(results):
        yield from results[0]


def _list(node: Node, value: list[JsonValue], path: FieldPath) -> Iterator[Finding]:
    if len(value) < node.get("min", 0):
        yield Finding(path, "must not be empty")
    if "items" in node:
        item = _node(node["items"])
        for index, part in enumerate(value):
            yield from _check(item, part, (*path, index))


def _mapping(node: Node, value: dict[str, JsonValue], path: FieldPath) -> Iterator[Finding]:
    for key in node.get("required", ()):
        if key not in value:
            yield Finding((*path, key), "is missing", _type_hint(node) if key == "type" else None)
    kind = value.get("type", node.get("default"))
    cases = node.get("cases", {})
    if cases and (not isinstance(kind, str) or kind not in cases):
        if "type" in value:
            yield _wrong_kind(cases, kind, path)
        return
    keys = {**node["keys"], **(cases[kind] if cases else {})}
    for key, part in value.items():
        if key in keys:
            yield from _check(_node(keys[key]), part, (*path, key))
        elif not node.get("open"):
            yield _unknown(key, keys, cases, kind, path)


def _type_hint(node: Node) -> str | None:
    return f"types: {listed(node['cases'])}" if "cases" in node else None


def _wrong_kind(cases: Mapping[str, Node], kind: JsonValue, path: FieldPath) -> Finding:
    what = f"{_title(path)} type" if _title(path) else "type"
    message = f"{shown(kind)} is not a known {what}"
    return Finding((*path, "type"), message, did_you_mean(kind, cases, of="types"))


def _title(path: FieldPath) -> str:
    """Say what kind of thing a mapping is, from where it stands."""
    names = [part for part in path if isinstance(part, str)]
    if not names:
        return ""
    return {"input_features": "input feature", "output_features": "output feature"}.get(
        names[-1], names[-1]
    )


def _unknown(
    key: str, keys: Node, cases: Mapping[str, Node], kind: JsonValue, path: FieldPath
) -> Finding:
    owner = (
        f"{kind} {_title(path)}".strip()
        if cases
        else ".".join(str(part) for part in path if isinstance(part, str))
    )
    message = (
        f"is not a key of Ludwig's {owner}"
        if owner
        else "is not a section of Ludwig's configuration"
    )
    hint = did_you_mean(key, keys, of="keys")
    if nearest(key, keys) is None:
        hint = _elsewhere(key, cases) or hint
    return Finding((*path, key), message, hint)


def _elsewhere(key: str, cases: Mapping[str, Node]) -> str | None:
    owners = [name for name, keys in cases.items() if key in keys]
    if owners:
        return f"{listed(owners)} would have it"
    home = home_of(key)
    return f"it belongs in {home}" if home else None
