"""Change single fields of a spec for one run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from modelyard.errors import SpecError, UsageError
from modelyard.spec import paths, yaml_text
from modelyard.spec.lines import Finding, problems
from modelyard.spec.load import build
from modelyard.spec.models import Spec


def apply(spec: Spec, overrides: Mapping[str, JsonValue]) -> Spec:
    """Return the spec with other values at dotted keys such as ``model.trainer.epochs``.

    Entries of lists are addressed by index, ``gate[0].at_least``, or by their name,
    ``model.input_features.image.encoder.type``.

    Raises:
        SpecError: a key leads nowhere, or the changed spec would be wrong.
    """
    if not overrides:
        return spec
    value: JsonValue = spec.model_dump(mode="json")
    findings: list[Finding] = []
    for key, new in overrides.items():
        try:
            value = _put(value, key, new)
        except (ValueError, LookupError) as error:
            findings.append(Finding((key,), f"cannot be overridden: {error}"))
    changed = build(value, findings) if isinstance(value, dict) else None
    if changed is None or findings:
        raise SpecError(spec.name, problems(findings, {}, f"overrides of {spec.name}"))
    return changed


def _put(value: JsonValue, key: str, new: JsonValue) -> JsonValue:
    path = paths.split(key)
    if path[0] in ("name", "version"):
        message = f"the {path[0]} is what the spec is known by"
        raise ValueError(message)
    json.dumps(new, allow_nan=False)
    return paths.put(value, paths.find(value, path), new)


def parse(assignments: Iterable[str]) -> dict[str, JsonValue]:
    """Read ``KEY=VALUE`` texts; values are YAML, so 5 is a number and [1, 2] a list.

    Raises:
        UsageError: a text is not of this form.
    """
    parsed: dict[str, JsonValue] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            message = f"`{assignment}` is not KEY=VALUE"
            raise UsageError(message, hint="such as model.trainer.epochs=5")
        parsed[key.strip()] = _value(assignment, text)
    return parsed


def _value(assignment: str, text: str) -> JsonValue:
    if not text.strip():
        return None
    try:
        value, _places, findings = yaml_text.read(text)
    except yaml_text.Unreadable as error:
        message = f"`{assignment}`: {error.finding.message}"
        raise UsageError(message, hint=error.finding.hint) from error
    if findings:
        message = f"`{assignment}`: {findings[0].message}"
        raise UsageError(message, hint=findings[0].hint)
    return value
