"""Ludwig's metrics as OUTPUT.METRIC, those that it lacks, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from modelyard.spec.models import Spec

COMBINED_LOSS = "combined.loss"
LOWER_IS_BETTER = ("loss", "error", "rmse", "mae", "mse", "rmspe", "mape", "perplexity", "distance")

# Ludwig's `accuracy` of a category is the mean of the classes' accuracies; people mean the micro one.
RENAMED = {"accuracy": "accuracy_macro", "accuracy_micro": "accuracy"}


def lower_is_better(metric: str) -> bool:
    """Say which direction of OUTPUT.METRIC is better, by the metric's name."""
    name = metric.rpartition(".")[2].lower()
    return any(word in name.split("_") or name.endswith(word) for word in LOWER_IS_BETTER)


def categories(spec: Spec) -> frozenset[str]:
    """The outputs whose accuracy Ludwig names differently."""
    return frozenset(output.name for output in spec.outputs if output.type == "category")


def flatten(
    tree: Mapping[str, Mapping[str, object]], categorical: frozenset[str]
) -> dict[str, float]:
    """Turn Ludwig's nested statistics into OUTPUT.METRIC; only finite numbers are kept."""
    flat: dict[str, float] = {}
    for output, metrics in tree.items():
        for name, value in metrics.items():
            number = _number(value)
            if number is not None:
                known = RENAMED.get(name, name) if output in categorical else name
                flat[f"{output}.{known}"] = number
    return flat


def _number(value: object) -> float | None:
    if getattr(value, "size", 1) != 1 or isinstance(value, str | bytes | Mapping | list | tuple):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # numpy and torch scalars have __float__
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def of_labels(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy, and precision, recall and F1 weighted by each class's rows."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, average="weighted", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision_weighted": float(precision),
        "recall_weighted": float(recall),
        "f1_weighted": float(f1),
    }


def of_numbers(truth: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """Root mean squared error, mean absolute error and R squared."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    figures = {
        "rmse": float(root_mean_squared_error(truth, predicted)),
        "mae": float(mean_absolute_error(truth, predicted)),
    }
    if len(truth) > 1:
        figures["r2"] = float(r2_score(truth, predicted))
    return figures
