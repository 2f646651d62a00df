"""Dotted keys such as ``trainer.learning_rate`` or ``model.input_features[0].encoder.type``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from modelyard.spec.lines import FieldPath

_PART: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_FEATURES: Final = ("input_features", "output_features")


class NoSuchPlace(LookupError):  # noqa: N818 - says what there is not
    """A dotted key leads nowhere; the text says where it ends."""


def split(key: str) -> FieldPath:
    """Take a dotted key apart; ValueError if it is not one."""
    parts = [int(index) if index else name for index, name in _PART.findall(key)]
    if not parts or re.sub(r"\.(?=\[)", "", key) != _joined(parts):
        message = f"`{key}` is not a dotted key such as model.trainer.epochs"
        raise ValueError(message)
    return tuple(parts)


def _joined(parts: list[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def find(value: JsonValue, path: FieldPath) -> FieldPath:
    """Turn names and digits that address list entries into indexes; NoSuchPlace if there are none."""
    found: list[str | int] = []
    current: JsonValue = value
    for part in path:
        step: str | int = part
        if isinstance(current, list):
            step = _index(current, part)
            current = current[step]
        elif isinstance(part, int):
            message = f"[{part}] where there is no list"
            raise NoSuchPlace(message)
        else:
            current = current.get(part) if isinstance(current, dict) else None
        found.append(step)
    return tuple(found)


def _index(entries: list[JsonValue], part: str | int) -> int:
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    if part in names:
        return names.index(part)
    if isinstance(part, int) or part.isdigit():
        index = int(part)
        if index < len(entries):
            return index
    message = f"`{part}` where there is a list of {len(entries)} entries"
    raise NoSuchPlace(message)


def find_in_model(model: JsonValue, key: str) -> FieldPath:
    """Find a dotted key of `model:`, which may begin with a feature's name, as Ludwig's may."""
    path = split(key)
    for section, index, name in features(model):
        if name == path[0] and not (isinstance(model, dict) and name in model):
            return find(model, (section, index, *path[1:]))
    return find(model, path)


def features(model: JsonValue) -> Iterator[tuple[str, int, str]]:
    """List section, index and name of all features that have a name."""
    for section in _FEATURES:
        entries = model.get(section) if isinstance(model, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str):
                yield section, index, name


def get(value: JsonValue, path: FieldPath) -> JsonValue:
    """Return what stands at a path; None where nothing does."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def put(value: JsonValue, path: FieldPath, new: JsonValue) -> JsonValue:
    """Return a copy with `new` at a path that `find` gave; missing mappings are made."""
    if not path:
        return new
    part, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(part, int):
        return [put(entry, rest, new) if i == part else entry for i, entry in enumerate(value)]
    if value is not None and not isinstance(value, dict):
        message = f"`{part}` below a value that is not a mapping"
        raise NoSuchPlace(message)
    entries = value or {}
    return {**entries, str(part): put(entries.get(str(part)), rest, new)}
