"""Nested settings as MLflow's flat parameters, within its limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

LONGEST_KEY = 250
LONGEST_VALUE = 6000
MOST = 400
NOT_ALLOWED = re.compile(r"[^\w\-. :/]")


def flatten(values: Mapping[str, JsonValue]) -> dict[str, str]:
    """Spell nested settings as dotted keys; list entries go by their `name` if they have one.

    Of more than 400 the rest is left out: the spec and the configuration are kept as files.
    """
    flat: dict[str, str] = {}
    for path, value in _leaves(dict(values), ()):
        if len(flat) == MOST:
            flat["left_out"] = "more; see spec.json and model_config/"
            break
        flat[safe_key(".".join(path))] = _text(value)
    return flat


def safe_key(key: str) -> str:
    """Spell a key with what MLflow allows."""
    return NOT_ALLOWED.sub("_", key)[:LONGEST_KEY]


def _leaves(value: JsonValue, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        for number, part in enumerate(value):
            name = part.get("name") if isinstance(part, dict) else None
            yield from _leaves(part, (*path, str(number if name is None else name)))
    else:
        yield path, value


def _text(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
