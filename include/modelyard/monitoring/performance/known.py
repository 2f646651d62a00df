"""The metrics that there are, of labels and of numbers, by the names that a spec gives them."""

from __future__ import annotations

from typing import Final

import numpy as np

from modelyard.errors import MonitoringError
from modelyard.monitoring.performance.metrics import (
    BINS,
    Accuracy,
    Metric,
    OfClasses,
    OfRows,
    OfSums,
)
from modelyard.monitoring.performance.samples import Floats, Kind, Kinds, Sample
from modelyard.spec.hints import did_you_mean

INFINITE: Final = float("inf")
FIGURES: Final = ("precision", "recall", "f1")
DEFAULTS: Final[dict[Kind, str]] = {"label": "accuracy", "number": "rmse"}


def squared_doubt(sample: Sample) -> Floats:
    """Return (probability - right)^2 of each row: its part of the Brier score (Brier 1950).

    Of the predicted label's probability alone; for two labels that is the score itself.
    """
    return np.asarray((sample.probability - sample.right) ** 2)


def by_sureness(*samples: Sample) -> list[Floats]:
    """Return [rows, bins + 1]: how much surer than right each row is, in its bin; and 1.

    The bins, 15 at most, hold as many rows each (Nguyen and O'Connor 2015), of all samples together.
    """
    chances = np.concatenate([sample.probability for sample in samples])
    edges = np.unique(np.quantile(chances, np.linspace(0, 1, BINS + 1)[1:-1]))
    found = []
    for sample in samples:
        features = np.zeros((len(sample), len(edges) + 2))
        places = np.searchsorted(edges, sample.probability, side="right")
        features[np.arange(len(sample)), places] = sample.probability - sample.right
        features[:, -1] = 1
        found.append(features)
    return found


def calibration_error(sums: Floats) -> Floats:
    """Return the expected calibration error (Guo et al. 2017): the mean gap of sure and right."""
    return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])


def _squares(*samples: Sample) -> list[Floats]:
    middle = float(np.concatenate([sample.truth for sample in samples]).mean())
    found = []
    for sample in samples:
        apart = sample.truth - middle
        columns = (sample.error**2, apart, apart**2, np.ones(len(sample)))
        found.append(np.column_stack(columns).astype(np.float64))
    return found


def _determination(sums: Floats) -> Floats:
    spread = sums[..., 2] - sums[..., 1] ** 2 / sums[..., 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread > 0, 1 - sums[..., 0] / spread, np.nan))


OF_LABELS: Final[tuple[Metric, ...]] = (
    Accuracy("accuracy"),
    *(OfClasses(name, name) for name in FIGURES),
    OfClasses("balanced_accuracy", "recall"),
    OfSums(
        "calibration_error",
        by_sureness,
        calibration_error,
        needs_probability=True,
        lower_is_better=True,
    ),
    OfRows("brier", squared_doubt, needs_probability=True, lower_is_better=True),
)
OF_NUMBERS: Final[tuple[Metric, ...]] = (
    OfRows("mae", lambda sample: np.abs(sample.error), lower_is_better=True, bounds=(0, INFINITE)),
    OfRows(
        "rmse",
        lambda sample: sample.error**2,
        root=True,
        lower_is_better=True,
        bounds=(0, INFINITE),
    ),
    OfSums("r2", _squares, _determination, bounds=(-INFINITE, 1)),
    OfRows("bias", lambda sample: sample.error, bounds=(-INFINITE, INFINITE)),
)
# Neither of its directions is worse.
NOT_WATCHED: Final = frozenset({"bias"})


def metrics_of(kind: Kind, positive: str | None, asked: frozenset[str]) -> list[Metric]:
    """List the metrics of an output: all that it has by itself, and those of classes.

    Args:
        kind: What it is.
        positive: The label whose precision, recall and F1 are given too, if there is one.
        asked: What the spec watches; `f1.CLASS` is the F1 of one class.
    """
    if kind == "number":
        return list(OF_NUMBERS)
    named = {f"{figure}.{positive}" for figure in FIGURES} if positive is not None else set()
    classes = sorted(name for name in asked | named if name.partition(".")[0] in FIGURES)
    return [*OF_LABELS, *(_of_class(name) for name in classes if "." in name)]


def _of_class(name: str) -> Metric:
    figure, _, label = name.partition(".")
    return OfClasses(name, figure, label)  # type: ignore[arg-type]


def watched(asked: tuple[str, ...], kinds: Kinds) -> dict[str, frozenset[str]]:
    """Say what is watched of each output.

    Raises:
        MonitoringError: the spec names an output or a metric that is not there.
    """
    if not asked:
        return {name: frozenset({DEFAULTS[kind]}) for name, kind in kinds.items()}
    found: dict[str, set[str]] = {name: set() for name in kinds}
    for one in asked:
        output, metric = _divided(one, kinds)
        found[output].add(metric)
    return {name: frozenset(metrics) for name, metrics in found.items()}


def _divided(asked: str, kinds: Kinds) -> tuple[str, str]:
    """Divide OUTPUT.METRIC; names of outputs may have dots too."""
    outputs = [name for name in kinds if asked.startswith(f"{name}.")]
    if not outputs:
        message = f"monitor.metrics: {asked}: the model has no such output"
        hint = did_you_mean(asked.partition(".")[0], kinds, of="outputs that can be measured")
        raise MonitoringError(message, hint=hint)
    output = max(outputs, key=len)
    metric, kind = asked[len(output) + 1 :], kinds[output]
    names = [m.name for m in (OF_LABELS if kind == "label" else OF_NUMBERS)]
    able = [name for name in names if name not in NOT_WATCHED]
    figure, _, label = metric.partition(".")
    if metric not in able and not (kind == "label" and figure in FIGURES and label):
        message = (
            f"monitor.metrics: {asked}: {metric} is not a metric of a {kind} that can be watched"
        )
        raise MonitoringError(message, hint=did_you_mean(metric, able))
    return output, metric
