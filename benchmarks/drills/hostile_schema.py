"""Requests that schemathesis makes out of an endpoint's OpenAPI document: right ones and wrong ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.drills.hostile_bodies import JSON, Hostile, Target

TYPES: Mapping[str, Mapping[str, Any]] = {
    "number": {"type": "number"},
    "timeseries": {"type": "array", "items": {"type": "number"}},
    "vector": {"type": "array", "items": {"type": "number"}},
}


def from_schema(
    document: Mapping[str, Any], found: Sequence[Target], count: int, seed: int
) -> Iterator[Hostile]:
    """Make about so many requests, the same for the same seed."""
    import schemathesis
    from hypothesis.errors import Unsatisfiable
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(about(document, found))
    operations = [result.ok() for result in schema.get_all_operations()]
    # What has parameters or a body is asked rightly and wrongly, so twice.
    asked = sum(2 if operation.method.upper() == "POST" else 1 for operation in operations)
    each = max(1, count // asked)
    for operation in operations:
        for mode in GenerationMode:
            try:
                yield from _drawn(operation.as_strategy(generation_mode=mode), each, seed)
            except Unsatisfiable:
                continue  # what has no parameter cannot be asked wrongly


def about(document: Mapping[str, Any], found: Sequence[Target]) -> dict[str, Any]:
    """Name the models and columns in a document that speaks of any, so that requests get further."""
    made = copy.deepcopy(dict(document))
    for methods in made["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] == "name":
                    parameter["schema"] = {"enum": [target.name for target in found]}
                if parameter["in"] == "path" and parameter["name"] == "version":
                    parameter["schema"] = {"enum": [str(version) for version in range(1, 4)]}
            content = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
            rows = content.get("schema", {}).get("properties", {}).get("rows")
            if rows is not None:
                rows["items"] = {"anyOf": [_row(target) for target in found]}
                rows["maxItems"] = 5
    return made


def _row(target: Target) -> dict[str, Any]:
    columns = {
        item["column"]: TYPES.get(item["type"], {"type": "string"}) for item in target.inputs
    }
    required = [item["column"] for item in target.inputs if item["required"]]
    return {
        "type": "object",
        "properties": columns,
        "required": required,
        "additionalProperties": False,
    }


def _drawn(strategy: Any, count: int, seed: int) -> list[Hostile]:
    import hypothesis
    from hypothesis import HealthCheck, Phase

    made: list[Hostile] = []

    def keep(case: Any) -> None:
        made.append(_hostile(case))

    settings = hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    hypothesis.seed(seed)(settings(hypothesis.given(case=strategy)(keep)))()
    return made


def _hostile(case: Any) -> Hostile:
    """Let schemathesis write the request, and take it apart."""
    import requests

    arguments = case.as_transport_kwargs(base_url="http://a")
    arguments.pop("timeout", None)
    known = {"method", "url", "headers", "files", "data", "params", "auth", "cookies", "json"}
    request = requests.Request(**{key: value for key, value in arguments.items() if key in known})
    try:
        ready = requests.Session().prepare_request(request)
    except (requests.RequestException, ValueError, UnicodeError):
        body = json.dumps(str(case.body)).encode()
        return Hostile("schema", case.operation.label, "/predict", body)
    body = ready.body if isinstance(ready.body, bytes) else str(ready.body or "").encode()
    headers = {str(name): _text(value) for name, value in ready.headers.items()}
    headers.pop("Content-Length", None)
    return Hostile("schema", case.operation.label, ready.path_url, body, headers, str(ready.method))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
