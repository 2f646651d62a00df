"""Read a spec file into a JSON value that remembers its lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from modelyard.spec import json_text, yaml_text
from modelyard.spec.lines import FieldPath, Finding, Places

SUFFIXES: Final = (".yaml", ".yml", ".json")
_LARGEST: Final = 1_000_000
# Lone surrogates cannot be hashed or stored, and a NUL ends a path.
_UNUSABLE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, before anything is known of its meaning."""

    value: dict[str, JsonValue]
    places: Places
    findings: tuple[Finding, ...]


def read(path: Path) -> Document:
    """Read a YAML or JSON file; raise Unreadable where there is nothing to go on with."""
    text = _text(path)
    reader = json_text if path.suffix == ".json" else yaml_text
    value, places, findings = reader.read(text)
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        message = f"a spec is a mapping of keys to values, not {kind}"
        yaml_text.refuse(message, 1, "begin with `name: ...`")
    unusable = [Finding(where, "a character that cannot be stored") for where in _unusable(value)]
    if unusable:
        value = json.loads(_UNUSABLE.sub("?", json.dumps(value, ensure_ascii=False)))
    return Document(value, places, (*findings, *unusable))


def _text(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        message = f"a spec ends in {', '.join(SUFFIXES)}"
        yaml_text.refuse(message)
    data = _bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yaml_text.refuse("not UTF-8 text", line, "save the file as UTF-8")


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            yaml_text.refuse("not a file")
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        yaml_text.refuse("there is no such file")
    except OSError as error:
        yaml_text.refuse(f"cannot be read: {error.strerror}")
    if len(data) > _LARGEST:
        yaml_text.refuse("larger than 1 MB", None, "data belongs in data.path")
    return data


def _unusable(value: JsonValue, path: FieldPath = ()) -> Iterator[FieldPath]:
    if isinstance(value, str):
        if _UNUSABLE.search(value):
            yield path
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _unusable(part, (*path, key))
            if _UNUSABLE.search(key):
                yield path
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _unusable(part, (*path, index))
