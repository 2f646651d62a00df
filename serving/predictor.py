"""A loaded model that answers batches of requests; knows nothing of Ray."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml

from modelyard.errors import DataError
from modelyard.features import ModelSignature
from modelyard.settings import Settings
from serving.backend import Description, Predicted
from serving.examples import example_row
from serving.outputs import Output, outputs_of
from serving.rows import Row

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("ray.serve")


class Model(Protocol):
    """A loaded model."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with a column for each output."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one request of a batch has no answer."""

    reason: str
    by_its_rows: bool


class Predictor:
    """A loaded model with its description."""

    def __init__(self, model: Model, description: Description) -> None:
        self._model = model
        self.description = description

    def answer(self, requests: Sequence[Sequence[Row]]) -> list[Predicted | Failure]:
        """Answer several requests in one pass; one that the model fails at does not spoil others."""
        begun = time.perf_counter()
        try:
            outputs = self._predict([row for request in requests for row in request])
        except Exception as error:
            # Any fault of a foreign model must become an answer for its caller.
            if len(requests) > 1:
                return [answer for request in requests for answer in self.answer([request])]
            if isinstance(error, DataError):
                return [Failure(str(error), by_its_rows=True)]
            log.exception("%s failed at a request", self.description.model)
            return [Failure(type(error).__name__, by_its_rows=False)]
        milliseconds = (time.perf_counter() - begun) * 1000
        edges = pairwise(accumulate((len(request) for request in requests), initial=0))
        return [Predicted(outputs[start:end], milliseconds) for start, end in edges]

    def _predict(self, rows: Sequence[Row]) -> list[Output]:
        import pandas as pd

        columns = [feature.column for feature in self.description.signature.inputs]
        frame = pd.DataFrame({name: [row[name] for row in rows] for name in columns})
        outputs = outputs_of(self._model.predict(frame), self.description.signature)
        if len(outputs) != len(rows):
            message = f"{len(rows)} rows got {len(outputs)} answers"
            raise ValueError(message)
        return outputs


def load(settings: Settings, model: str, version: int) -> Predictor:
    """Load a version's files, and predict once, so that the first request is not slow.

    Raises:
        ModelyardError: there is no such version, or it cannot be loaded.
    """
    from modelyard.tracking import registry
    from modelyard.training.predictor import Predictor as LudwigPredictor

    made = registry.version(settings, model, version)
    folder = registry.download(settings, model, version)
    description = Description(
        model=model,
        version=version,
        run=made.run or None,
        mlflow_run=made.mlflow_run or None,
        metrics=made.metrics,
        signature=ModelSignature.model_validate_json((folder / "signature.json").read_bytes()),
    )
    predictor = Predictor(LudwigPredictor(folder / _data(folder)), description)
    predictor.answer([[example_row(description.signature)]])
    return predictor


def _data(folder: Path) -> str:
    """Where the model lies in its MLflow folder; importing MLflow to ask it takes seconds."""
    document = yaml.safe_load((folder / "MLmodel").read_bytes())
    return str(document["flavors"]["python_function"]["data"])
