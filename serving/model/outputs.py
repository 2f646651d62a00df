"""Turn a model's table of predictions into plain JSON values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from modelyard.features import ModelSignature

if TYPE_CHECKING:
    import pandas as pd

type Output = dict[str, dict[str, JsonValue]]


def outputs_of(frame: pd.DataFrame, signature: ModelSignature) -> list[Output]:
    """Return for each row: output name to prediction, and what else is said of it.

    Labels have probabilities; a mask, whose prediction is a PNG in base64, has the share of its
    pixels that are not background.
    """
    columns = {
        (feature.name, part): [plain(value) for value in frame[source].tolist()]
        for feature in signature.outputs
        for part, source in _parts(feature.name)
        if source in frame.columns
    }
    answers: list[Output] = [{} for _ in range(len(frame))]
    for (name, part), values in columns.items():
        for answer, value in zip(answers, values, strict=True):
            answer.setdefault(name, {})[part] = value
    return answers


def _parts(name: str) -> tuple[tuple[str, str], ...]:
    return (
        ("prediction", name),
        ("probability", f"{name}_probability"),
        ("probabilities", f"{name}_probabilities"),
        ("share", f"{name}_share"),
    )


def plain(value: object) -> JsonValue:  # noqa: PLR0911 - one return a type
    """Make a JSON value of what pandas, NumPy and Ludwig return; what is not a number is null."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)
