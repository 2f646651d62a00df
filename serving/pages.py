"""Two pages that work without a network: what is served, and how to call it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from modelyard import __version__
from modelyard.features import ModelFeature
from serving.examples import example_value


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("serving"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def landing_page(health: Mapping[str, Any], info: Mapping[str, Any], base: str) -> str:
    """Say what is served here, with links and a request to copy."""
    return (
        _templates()
        .get_template("landing.html")
        .render(
            version=__version__,
            health=health,
            models=[_model(model, base) for model in info["models"]],
        )
    )


def docs_page(openapi: Mapping[str, Any], base: str) -> str:
    """Say what each path takes and answers, out of the OpenAPI document."""
    operations = [
        {"path": path, "method": method.upper(), **operation}
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = openapi.get("components", {}).get("schemas", {})
    return (
        _templates()
        .get_template("docs.html")
        .render(
            title=openapi["info"]["title"],
            version=openapi["info"]["version"],
            description=openapi["info"]["description"],
            operations=operations,
            schemas=schemas,
            base=base.rstrip("/"),
            type_of=_type_of,
        )
    )


def _model(model: Mapping[str, Any], base: str) -> dict[str, Any]:
    signatures = [variant["signature"] for variant in model["variants"] if "signature" in variant]
    inputs = signatures[0]["inputs"] if signatures else []
    outputs = signatures[0]["outputs"] if signatures else []
    command = _command(f"{base.rstrip('/')}/models/{model['name']}/predict", inputs)
    for mask in [item["name"] for item in outputs if item["type"] == "image"][:1]:
        command += f" | jq -r .predictions[0].{mask}.prediction | base64 -d > {mask}.png"
    return {**model, "inputs": inputs, "outputs": outputs, "command": command}


def _command(url: str, inputs: list[Mapping[str, Any]]) -> str:
    """Write the curl command that sends one row."""
    if any(item["type"] == "image" for item in inputs):
        fields = " ".join(
            f"-F {item['column']}={'@FILE.png' if item['type'] == 'image' else 'VALUE'}"
            for item in inputs
        )
        return f"curl {fields} {url}"
    row = {item["column"]: example_value(ModelFeature.model_validate(item)) for item in inputs}
    body = json.dumps({"rows": [row]})
    return f"curl -H 'Content-Type: application/json' -d '{body}' {url}"


def _type_of(schema: Mapping[str, Any]) -> str:
    """Name a JSON schema's type in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type_of(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
