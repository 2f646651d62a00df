"""What a look at single classes and at probabilities adds to an evaluation's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.features import ModelFeature, ModelSignature

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame

LABELS = frozenset({"category", "binary"})
MOST_CLASSES = 20
BINS = 15


@dataclass(frozen=True, slots=True)
class Curve:
    """One class against the rest: rates of false and true alarms at every threshold."""

    label: str
    false_positive: list[float]
    true_positive: list[float]
    area: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about the same probability, and how often they were right."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


def class_table(output: ModelFeature, predictions: DataFrame) -> DataFrame:
    """Precision, recall, F1, area under the ROC curve, and rows of each class, the weakest F1 first."""
    import pandas as pd
    from sklearn.metrics import precision_recall_fscore_support

    truth, predicted = answers(output, predictions)
    labels = sorted({*truth, *predicted}, key=label_order)
    columns = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "rows"), columns, strict=True)))
    table.insert(0, "class", labels)
    areas = {curve.label: curve.area for curve in roc_curves(output, predictions)}
    table["roc_auc"] = table["class"].map(areas)
    return table.sort_values(["f1", "class"], kind="stable").reset_index(drop=True)


def roc_curves(output: ModelFeature, predictions: DataFrame) -> list[Curve]:
    """The curve of each class that has rows and does not have all; of two classes, the second's."""
    from sklearn.metrics import auc, roc_curve

    truth, _ = answers(output, predictions)
    known = [label for label in output.categories or () if column(output, label) in predictions]
    if len(known) == 2:  # noqa: PLR2004 - the first's curve is the same, seen from the other side
        known = known[1:]
    curves = []
    for label in sorted(known, key=label_order):
        is_it = [value == label for value in truth]
        if any(is_it) and not all(is_it):
            rates = roc_curve(is_it, predictions[column(output, label)])
            false_positive, true_positive = (rate.tolist() for rate in rates[:2])
            area = float(auc(false_positive, true_positive))
            curves.append(Curve(label, false_positive, true_positive, area))
    return curves


def reliability(output: ModelFeature, predictions: DataFrame) -> list[Bin]:
    """Rows by the probability of what was predicted, in 15 equal bins; empty ones are left out."""
    import numpy as np

    truth, predicted = answers(output, predictions)
    right = np.array([a == b for a, b in zip(truth, predicted, strict=True)], dtype="float64")
    confidence = _confidence(output, predictions)
    places = np.clip((confidence * BINS).astype("int64"), 0, BINS - 1)
    bins = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            means = float(confidence[inside].mean()), float(right[inside].mean())
            bins.append(Bin(place / BINS, (place + 1) / BINS, int(inside.sum()), *means))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: the mean gap of confidence and accuracy (Guo et al. 2017)."""
    rows = sum(one.rows for one in bins)
    return sum(one.rows * abs(one.confidence - one.accuracy) for one in bins) / rows


def metrics_of(signature: ModelSignature, predictions: DataFrame) -> dict[str, float]:
    """Figures of each output with labels that have no class of their own."""
    found: dict[str, float] = {}
    for output in with_labels(signature):
        if has_probabilities(output, predictions):
            bins = reliability(output, predictions)
            found[f"{output.name}.calibration_error"] = calibration_error(bins)
        curves = roc_curves(output, predictions)
        if curves:
            areas = [curve.area for curve in curves]
            found[f"{output.name}.roc_auc_macro"] = sum(areas) / len(areas)
    return found


def per_class(output: ModelFeature, table: DataFrame) -> dict[str, float]:
    """Each class's figures as metrics, where there are not too many classes to read."""
    if len(table) > MOST_CLASSES:
        return {}
    return {
        f"{output.name}.{name}.{row['class']}": float(row[name])
        for row in table.to_dict("records")
        for name in ("precision", "recall", "f1")
    }


def with_labels(signature: ModelSignature) -> list[ModelFeature]:
    """The outputs that are one of several labels."""
    return [
        output
        for output in signature.outputs
        if output.type in LABELS and len(output.categories or ()) > 1
    ]


def has_probabilities(output: ModelFeature, predictions: DataFrame) -> bool:
    """Whether the probability of the predicted label is known."""
    return f"{output.name}.probability" in predictions and len(predictions) > 0


def answers(output: ModelFeature, predictions: DataFrame) -> tuple[list[Any], list[Any]]:
    """Truths and predictions."""
    truth, predicted = (
        predictions[f"{output.name}.{kind}"].tolist() for kind in ("truth", "prediction")
    )
    return truth, predicted


def column(output: ModelFeature, label: str) -> str:
    """Where a label's probability stands."""
    return f"{output.name}.probability.{label}"


def label_order(label: str) -> tuple[bool, int, str]:
    """Sort labels as people do: 2 before 10."""
    return not label.isdigit(), int(label) if label.isdigit() else 0, label


def _confidence(output: ModelFeature, predictions: DataFrame) -> NDArray[float64]:
    values: NDArray[float64] = predictions[f"{output.name}.probability"].to_numpy(dtype="float64")
    return values
