"""Turn a graph's arrays into the answers of the endpoint, as `training.predictor` does Ludwig's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from modelyard.training.compiled.plan import (
    LabelOutput,
    MaskOutput,
    NumberOutput,
    Output,
    OutputPlan,
    Scaling,
)
from modelyard.training.masks import answered, fitted


def answers(
    plans: Sequence[OutputPlan], arrays: Sequence[Any], sizes: Sequence[tuple[int, int] | None]
) -> list[Output]:
    """Return for each row: output name to prediction, and what else is said of it.

    Args:
        plans: The outputs.
        arrays: The graph's: predictions of each output, and probabilities after a label's.
        sizes: Height and width of each row's image, which its mask takes.
    """
    left = iter(arrays)
    found: list[Output] = [{} for _ in sizes]
    for plan in plans:
        for output, parts in zip(found, _parts(plan, left, sizes), strict=True):
            output[plan.name] = parts
    return found


def _parts(
    plan: OutputPlan, arrays: Iterator[Any], sizes: Sequence[tuple[int, int] | None]
) -> Iterator[dict[str, Any]]:
    predictions = next(arrays)
    match plan:
        case NumberOutput():
            return _numbers(plan.scaling, predictions)
        case MaskOutput():
            return _masks(plan, predictions, sizes)
        case LabelOutput(kind="binary"):
            return _binary(plan, predictions, next(arrays))
        case LabelOutput():
            return _categories(plan, predictions, next(arrays))


def _numbers(scaling: Scaling, predictions: Any) -> Iterator[dict[str, Any]]:
    for value in predictions.reshape(-1).tolist():
        # Ludwig scales back in double precision, one value at a time.
        if scaling.kind == "affine":
            yield {"prediction": finite(value * scaling.scale + scaling.shift)}
        else:
            back = float(np.expm1(value)) if scaling.kind == "log1p" else value
            yield {"prediction": finite(back)}


def _categories(
    plan: LabelOutput, predictions: Any, probabilities: Any
) -> Iterator[dict[str, Any]]:
    shown = [(label, plan.labels.index(label)) for label in plan.shown]
    for place, row in zip(predictions.tolist(), probabilities.tolist(), strict=True):
        yield {
            "prediction": plan.labels[place],
            "probability": finite(max(row)),
            "probabilities": {label: finite(row[number]) for label, number in shown},
        }


def _binary(plan: LabelOutput, predictions: Any, probabilities: Any) -> Iterator[dict[str, Any]]:
    no, yes = plan.labels
    chances = probabilities.reshape(-1)
    rows = zip(
        predictions.reshape(-1).tolist(), chances.tolist(), (1 - chances).tolist(), strict=True
    )
    for label, true, false in rows:
        yield {
            "prediction": yes if label else no,
            "probability": finite(max(true, false)),
            "probabilities": {no: finite(false), yes: finite(true)},
        }


def _masks(
    plan: MaskOutput, predictions: Any, sizes: Sequence[tuple[int, int] | None]
) -> Iterator[dict[str, Any]]:
    greys = np.array(plan.greys, dtype=np.uint8)
    for classes, size in zip(predictions, sizes, strict=True):
        mask = greys[classes.reshape(classes.shape[-2:]).astype(np.intp)]
        picture, share = answered(mask if size is None else fitted(mask, size), plan.greys[0])
        yield {"prediction": picture, "share": share}


def finite(value: float) -> float | None:
    """JSON has no infinite numbers."""
    return value if math.isfinite(value) else None
