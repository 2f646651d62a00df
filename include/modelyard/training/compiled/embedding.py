"""Where a network places a row: what its combiner gives, projected to a few dimensions.

The projection is the principal components of training rows (Pearson 1901; `sklearn.decomposition.PCA`),
fixed before a test row is seen, so that test rows and rows of the same kind that come later are
placed alike. It is part of the graph: no client sees it, and the prediction log keeps it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from modelyard.features import ModelSignature
from modelyard.training.compiled.model import Inputs
from modelyard.training.compiled.plan import Output, Plan, Row
from modelyard.training.compiled.proving import TestRows

if TYPE_CHECKING:
    from pandas import DataFrame

    from modelyard.training.compiled.graph import Projection
    from modelyard.training.compiled.model import CompiledModel

type Array = npt.NDArray[np.float32]

MOST_DIMENSIONS: Final = 16
TRAINING_ROWS: Final = 1_000
BATCH: Final = 64
# The observed columns of other inputs are the inputs themselves, and are watched one by one.
KINDS: Final = frozenset({"image", "text", "timeseries"})
log = logging.getLogger(__name__)


def fit(
    network: Any, plan: Plan, signature: ModelSignature, training: DataFrame
) -> Projection | None:
    """Fit the projection on at most 1,000 training rows; None where there is nothing to place.

    A network that gives no embedding, for whatever reason, is served without one.
    """
    if not any(one.kind in KINDS for one in plan.inputs):
        return None
    columns = [one.column for one in signature.inputs]
    rows = training.dropna(subset=columns)
    rows = rows.sample(min(len(rows), TRAINING_ROWS), random_state=0)
    if len(rows) <= 1:
        return None
    try:
        return _fitted(_hidden(network, plan, TestRows(signature, rows)))
    except Exception:
        # This meets any code of any network, and none of its faults may cost the predictor.
        log.exception("the model gives no embedding")
        return None


def _hidden(network: Any, plan: Plan, rows: Sequence[Row]) -> Array:
    import torch

    from modelyard.training.compiled.graph import Hidden

    hidden, prepare = Hidden(network.cpu().eval(), plan), Inputs(plan)
    with torch.inference_mode():
        found = [hidden(*prepare(batch)[0]).numpy() for batch in _batches(rows)]
    return np.concatenate(found)


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), BATCH):
        yield [rows[number] for number in range(start, min(start + BATCH, len(rows)))]


def _fitted(hidden: Array) -> Projection | None:
    from sklearn.decomposition import PCA

    from modelyard.training.compiled.graph import Projection

    varying = int((hidden.std(axis=0) > 0).sum())
    size = min(MOST_DIMENSIONS, varying, len(hidden) - 1)
    if size < 1 or not np.isfinite(hidden).all():
        return None
    # Ten classes need nine directions; the dimensions after them are noise, and few.
    components = PCA(size, random_state=0).fit(hidden.astype(np.float64))
    log.info(
        "embedding: %d of %d dimensions, with %.1f %% of the variance",
        size,
        hidden.shape[1],
        100 * components.explained_variance_ratio_.sum(),
    )
    return Projection(components.mean_, components.components_)


class Placing:
    """Answers rows by a compiled model, and remembers where it placed them."""

    def __init__(self, model: CompiledModel) -> None:
        self._model = model
        self._found: list[Array] = []

    def answer(self, rows: Sequence[Row]) -> list[Output]:
        """Predict each row."""
        outputs, places = self._model.answer_and_place(rows)
        if places is not None:
            self._found.append(places)
        return outputs

    @property
    def places(self) -> Array | None:
        """All of them, [rows, dimensions]; None where the model places nothing."""
        return np.concatenate(self._found) if self._found else None
