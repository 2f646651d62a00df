"""Lay one `model:` over another, and remember for each field which file it came from.

The rules are those of JSON Merge Patch (RFC 7396) with two more that Ludwig's configurations need:
mappings are merged key by key, null takes a key of the other file away, anything else replaces what
was there, lists too. But features are matched by their `name` (one that is not there yet is added, one whose `type`
is null is taken away), and a mapping that says another `type` replaces the old one whole, since the
keys of one encoder mean nothing to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from modelyard.spec.lines import FieldPath

type Origins = Mapping[FieldPath, tuple[Path, int]]

FEATURES: Final = ("input_features", "output_features")
_OF_THE_FEATURE: Final = ("name", "column")


@dataclass(frozen=True, slots=True)
class Part:
    """A value, and the file and line of every field in it."""

    value: JsonValue
    origins: Origins

    def at(self, key: str | int) -> Part:
        """Step into a mapping or list."""
        inner = self.value[key]  # type: ignore[index]  # the caller knows the kind
        return Part(
            inner, {path[1:]: place for path, place in self.origins.items() if path[:1] == (key,)}
        )


def merge(base: Part, over: Part) -> Part:
    """Return `over` laid over `base`, both the content of a `model:`."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    return _mappings(base, over, FEATURES)


def _mappings(base: Part, over: Part, features: tuple[str, ...] = ()) -> Part:
    assert isinstance(base.value, dict), "asked before"
    assert isinstance(over.value, dict), "asked before"
    parts: dict[str | int, Part] = {key: base.at(key) for key in base.value}
    for key, value in over.value.items():
        new = over.at(key)
        old = parts.get(key)
        if value is None and old is not None:
            del parts[key]
        elif key in features and old is not None:
            parts[key] = _by_name(old, new)
        else:
            parts[key] = new if old is None else _laid_over(old, new)
    joined: dict[str, JsonValue] = {str(key): part.value for key, part in parts.items()}
    return _joined(joined, parts, over, base)


def _laid_over(old: Part, new: Part) -> Part:
    if isinstance(old.value, dict) and isinstance(new.value, dict):
        kinds = (old.value.get("type"), new.value.get("type"))
        return new if kinds[1] not in (None, kinds[0]) else _mappings(old, new)
    return new


def _by_name(base: Part, over: Part) -> Part:
    if not isinstance(base.value, list) or not isinstance(over.value, list):
        return over
    kept = [base.at(index) for index in range(len(base.value))]
    for index in range(len(over.value)):
        entry = over.at(index)
        position = _named(kept, entry.value)
        if position is None:
            kept.append(entry)
        elif isinstance(entry.value, dict) and entry.value.get("type", ...) is None:
            del kept[position]
        else:
            kept[position] = _feature(kept[position], entry)
    return _joined([part.value for part in kept], dict(enumerate(kept)), over, base)


def _named(entries: list[Part], wanted: JsonValue) -> int | None:
    name = wanted.get("name") if isinstance(wanted, dict) else None
    names = [
        entry.value.get("name") if isinstance(entry.value, dict) else None for entry in entries
    ]
    return names.index(name) if name is not None and name in names else None


def _feature(old: Part, new: Part) -> Part:
    """Lay one feature over another; of one that becomes another type, only name and column stay."""
    assert isinstance(old.value, dict), "it has a name"
    assert isinstance(new.value, dict), "it has a name"
    if new.value.get("type", old.value.get("type")) != old.value.get("type"):
        old = Part({k: v for k, v in old.value.items() if k in _OF_THE_FEATURE}, old.origins)
    return _mappings(old, new)


def _joined(value: JsonValue, parts: Mapping[str | int, Part], over: Part, base: Part) -> Part:
    origins: dict[FieldPath, tuple[Path, int]] = {}
    for key, part in parts.items():
        origins.update({(key, *path): place for path, place in part.origins.items()})
    for source in (base, over):
        if () in source.origins:
            origins[()] = source.origins[()]
    return Part(value, origins)


def without(part: Part, paths: Iterator[FieldPath] | list[FieldPath]) -> Part:
    """Return the part with nothing at these paths."""
    value, gone = part.value, list(paths)
    for path in gone:
        value = _removed(value, path)
    return Part(value, part.origins)


def _removed(value: JsonValue, path: FieldPath) -> JsonValue:
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        inner = {
            key: _removed(part, rest) if rest and key == head else part
            for key, part in value.items()
        }
        return inner if rest else {key: part for key, part in inner.items() if key != head}
    if isinstance(value, list) and rest:
        return [_removed(part, rest) if index == head else part for index, part in enumerate(value)]
    return value
