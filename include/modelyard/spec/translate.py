"""Pydantic's errors in plain words, at the field that the author wrote."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from modelyard.spec import sections
from modelyard.spec.hints import did_you_mean, listed, nearest, shown
from modelyard.spec.lines import FieldPath, Finding

type Context = Mapping[str, Any]

_MISSING: Final = "is missing"
_UNKNOWN: Final = "is not a known key"
_KINDS: Final = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "json": "a plain value",
}
_LIMITS: Final[dict[str, Callable[[Context], str]]] = {
    "greater_than": lambda context: f"must be above {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be {context['ge']:g} or more",
    "less_than": lambda context: f"must be below {context['lt']:g}",
    "less_than_equal": lambda context: f"must be {context['le']:g} or less",
    "string_too_short": lambda _context: "must not be empty",
    "too_short": lambda context: f"needs at least {_entries(context['min_length'])}",
    "too_long": lambda context: f"takes at most {_entries(context['max_length'])}",
}
_PATTERNS: Final = {
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": "lower-case letters, digits and hyphens between them, at most 63",
    r"^[^.\s]+\.[^\s]+$": "OUTPUT.METRIC, such as label.accuracy",
}


def findings(error: ValidationError, value: JsonValue) -> list[Finding]:
    """Translate all errors of a spec; several of one field become one."""
    groups: dict[FieldPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        groups.setdefault(_written(detail, value), []).append(detail)
    found = [_finding(path, details, value) for path, details in groups.items()]
    return [finding for finding in found if not _misspelt_elsewhere(finding, found)]


def _misspelt_elsewhere(finding: Finding, others: list[Finding]) -> bool:
    """Tell whether a missing key is there under a misspelt name, which is refused already."""
    if finding.message != _MISSING:
        return False
    hint = f"did you mean `{finding.path[-1]}`?"
    return any(
        other.hint == hint and other.path[:-1] == finding.path[:-1] and other.message == _UNKNOWN
        for other in others
    )


def _written(detail: ErrorDetails, value: JsonValue) -> FieldPath:
    """Keep of pydantic's location what stands in the file: it also names the union's member."""
    path: list[str | int] = []
    last = len(detail["loc"]) - 1
    for index, part in enumerate(detail["loc"]):
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (index == last and detail["type"] == "missing" and isinstance(value, dict)):
            continue
        path.append(part)
    return tuple(path)


def _finding(path: FieldPath, details: list[ErrorDetails], value: JsonValue) -> Finding:
    first = details[0]
    kind = first["type"]
    if kind == "missing":
        return _missing(path, first, value)
    if kind == "extra_forbidden":
        return _unknown(path, value)
    if kind in ("literal_error", "union_tag_invalid") and len(details) == 1:
        return _choice(path, first)
    return _wrong_value(path, first) or _wrong_kind(path, details)


def _wrong_value(path: FieldPath, detail: ErrorDetails) -> Finding | None:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    finding = None
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        hint = f"it says what kind of entry this is: {key}: ..."
        finding = Finding((*path, key), "is missing", hint)
    elif kind in _LIMITS:
        finding = Finding(path, f"{_LIMITS[kind](context)}, not {_found(detail)}")
    elif kind == "string_pattern_mismatch":
        wanted = _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
        finding = Finding(path, f"must be {wanted}; not {shown(given)}")
    elif kind == "value_error":
        finding = Finding(path, str(context["error"]))
    return finding


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _found(detail: ErrorDetails) -> str:
    value = detail["input"]
    return str(len(value)) if isinstance(value, list) else shown(value)


def _missing(path: FieldPath, detail: ErrorDetails, value: JsonValue) -> Finding:
    if isinstance(detail["loc"][-1], int):
        return Finding(path, f"needs more than {_entries(len(detail['input']))}")
    text = sections.description(path, value)
    return Finding(path, _MISSING, text)


def _unknown(path: FieldPath, value: JsonValue) -> Finding:
    *parent, key = path
    return Finding(path, _UNKNOWN, unknown_key_hint(tuple(parent), str(key), value))


def unknown_key_hint(section: FieldPath, key: str, value: JsonValue) -> str | None:
    """Hint at the nearest key of a section, or at the section where the key belongs."""
    from modelyard.spec import ludwig_schema

    keys = sections.known_keys(section, value)
    if nearest(key, keys) is None:
        home = sections.home_of(key) or ludwig_schema.home_of(key)
        if home:
            return f"it belongs in {home}"
    return did_you_mean(key, keys)


def _choice(path: FieldPath, detail: ErrorDetails) -> Finding:
    context = detail.get("ctx", {})
    value = detail["input"]
    if detail["type"] == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        path, value = (*path, key), context["tag"]
    options = re.findall(r"'([^']*)'", context.get("expected", context.get("expected_tags", "")))
    if not options:
        return Finding(path, f"must be {context.get('expected')}, not {shown(value)}")
    return Finding(
        path,
        f"{shown(value)} is none of: {listed(options)}",
        did_you_mean(value, options) if nearest(value, options) else None,
    )


def _wrong_kind(path: FieldPath, details: list[ErrorDetails]) -> Finding:
    wanted: list[str] = []
    for detail in details:
        name = detail["type"].split("_")[0]
        word = _KINDS.get(name)
        if detail["type"] == "literal_error":
            word = detail["ctx"]["expected"].replace("'", "`")
        elif detail["type"] in _LIMITS:
            word = _LIMITS[detail["type"]](detail["ctx"]).removeprefix("must be ")
        if word is None:
            return Finding(path, detail["msg"][:1].lower() + detail["msg"][1:])
        if word not in wanted:
            wanted.append(word)
    value = details[0]["input"]
    hint = None
    if value is None:
        hint = "write a value, or take the line away"
    elif isinstance(value, str) and wanted[0] not in ("text", "a list"):
        hint = "without quotes" if re.fullmatch(r"[-+.\deE]+|true|false", value) else None
    elif wanted == ["a list"]:
        hint = f"write [{value}]" if not isinstance(value, dict) else "begin each entry with `- `"
    return Finding(path, f"must be {' or '.join(wanted)}, not {shown(value)}", hint)
