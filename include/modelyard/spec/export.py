"""A spec, or the model that it means, as a file that other specs and projects can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from modelyard.errors import UsageError
from modelyard.spec import document, yaml_text
from modelyard.spec.models import Spec

type Format = Literal["yaml", "json"]


def text(value: JsonValue, form: Format) -> str:
    """Write a value so that it reads back the same, whichever the format."""
    if form == "yaml":
        return yaml_text.write(value)
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def whole(spec: Spec) -> JsonValue:
    """The whole spec, every default written out, its model merged with what `from` named."""
    value: JsonValue = spec.model_dump(mode="json")
    return value


def format_of(output: Path | None, asked: str | None, otherwise: Format) -> Format:
    """Choose the format: as asked, else by the file's ending.

    Raises:
        UsageError: there is no such format, or the file would be read as the other one.
    """
    if asked not in (None, "yaml", "json"):
        message = f"there is no format `{asked}`"
        raise UsageError(message, hint="yaml or json")
    ending: Format | None = None
    if output is not None:
        if output.suffix not in document.SUFFIXES:
            message = f"{output} ends in none of {', '.join(document.SUFFIXES)}"
            raise UsageError(message)
        ending = "json" if output.suffix == ".json" else "yaml"
    if asked is not None and ending is not None and asked != ending:
        message = f"{output} would be read as {ending}, not {asked}"
        raise UsageError(message, hint="leave --format out, or name the file accordingly")
    if asked is not None:
        return "yaml" if asked == "yaml" else "json"
    return ending or otherwise
