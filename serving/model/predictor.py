"""A loaded model that answers batches of requests; knows nothing of Ray."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import yaml

from modelyard.errors import DataError
from modelyard.features import ModelSignature
from modelyard.settings import Settings
from serving.model.backend import Description, Predicted
from serving.model.examples import example_row
from serving.model.outputs import Output, outputs_of
from serving.requests.rows import Row

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

log = logging.getLogger("ray.serve")
COMPILED: Final = "compiled"
# Rows a call: torch optimises a graph on its first calls, and again for other sizes of batches.
WARM: Final = (1, 1, 1, 2, 3, 8, 64)


class Model(Protocol):
    """A loaded model."""

    def answer(self, rows: Sequence[Row]) -> list[Output]:
        """Predict checked rows; raise DataError for rows that it cannot take."""
        ...


@runtime_checkable
class Placing(Protocol):
    """A loaded model that also says where it places the rows."""

    def answer_and_place(
        self, rows: Sequence[Row]
    ) -> tuple[list[Output], NDArray[np.float32] | None]:
        """Predict checked rows as `answer` does; also [rows, dimensions], or None."""
        ...


class Frames(Protocol):
    """A loaded model that takes and gives tables, as those do that MLflow loads."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with a column for each output."""
        ...


class Framed:
    """Lets a model of tables answer rows."""

    def __init__(self, model: Frames, signature: ModelSignature) -> None:
        self._model = model
        self._signature = signature

    def answer(self, rows: Sequence[Row]) -> list[Output]:
        """Predict the rows as one table."""
        import pandas as pd

        columns = [feature.column for feature in self._signature.inputs]
        frame = pd.DataFrame({name: [row[name] for row in rows] for name in columns})
        return outputs_of(self._model.predict(frame), self._signature)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one request of a batch has no answer."""

    reason: str
    by_its_rows: bool


class Predictor:
    """A loaded model with its description."""

    def __init__(self, model: Model, description: Description) -> None:
        self._model = model
        self._placing = model if isinstance(model, Placing) else None
        self.description = description

    def answer(self, requests: Sequence[Sequence[Row]]) -> list[Predicted | Failure]:
        """Answer several requests in one pass; one that the model fails at does not spoil others."""
        begun = time.perf_counter()
        try:
            outputs, places = self._predict([row for request in requests for row in request])
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
        return [
            Predicted(
                outputs[start:end],
                milliseconds,
                None if places is None else places[start:end].tobytes(),
            )
            for start, end in edges
        ]

    def _predict(self, rows: Sequence[Row]) -> tuple[list[Output], NDArray[np.float32] | None]:
        if self._placing is not None:
            outputs, places = self._placing.answer_and_place(rows)
        else:
            outputs, places = self._model.answer(rows), None
        if len(outputs) != len(rows):
            message = f"{len(rows)} rows got {len(outputs)} answers"
            raise ValueError(message)
        return outputs, places


def load(settings: Settings, model: str, version: int) -> Predictor:
    """Load a version's files, and predict a few times, so that the first request is not slow.

    The compiled predictor answers where there is one; without it, Ludwig does, and the
    description says why.

    Raises:
        ModelyardError: there is no such version, or it cannot be loaded.
    """
    from modelyard.tracking import registry

    made = registry.version(settings, model, version)
    folder = registry.download(settings, model, version)
    signature = ModelSignature.model_validate_json((folder / "signature.json").read_bytes())
    loaded, note = _loaded(folder, signature)
    description = Description(
        model=model,
        version=version,
        run=made.run or None,
        mlflow_run=made.mlflow_run or None,
        metrics=made.metrics,
        signature=signature,
        files=str(folder),
        engine="ludwig" if note else "compiled",
        engine_note=note,
    )
    predictor = Predictor(loaded, description)
    row = example_row(signature)
    for rows in WARM if note is None else (1,):
        predictor.answer([[row] * rows])
    return predictor


def _loaded(folder: Path, signature: ModelSignature) -> tuple[Model, str | None]:
    """Load the compiled predictor or else Ludwig's; also why it is Ludwig's."""
    from modelyard.training.compiled import NotCompiledError, open_compiled

    try:
        # One thread a replica: more replicas use more cores better than more threads do.
        return open_compiled(folder / COMPILED, threads=1), None
    except NotCompiledError as error:
        log.warning("served by Ludwig, for there is no compiled predictor: %s", error)
        from modelyard.training.predictor import Predictor as LudwigPredictor

        return Framed(LudwigPredictor(folder / _data(folder)), signature), str(error)


def _data(folder: Path) -> str:
    """Where the model lies in its MLflow folder; importing MLflow to ask it takes seconds."""
    document = yaml.safe_load((folder / "MLmodel").read_bytes())
    return str(document["flavors"]["python_function"]["data"])
