"""Where a model places a row goes to the log, and to no client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.model.backend import Description, Predicted
from serving.model.outputs import Output
from serving.model.predictor import Predictor
from serving.prediction_log.log import Entry
from serving.prediction_log.sink import records_of
from serving.requests.bodies import Rows
from serving.requests.rows import Row
from tests.serving.fakes import FLOWERS, Direct
from tests.serving.test_log import entry


class Places:
    """Answers and places a row by its one number."""

    def answer(self, rows: Sequence[Row]) -> list[Output]:
        return self.answer_and_place(rows)[0]

    def answer_and_place(
        self, rows: Sequence[Row]
    ) -> tuple[list[Output], NDArray[np.float32] | None]:
        lengths = [float(str(row["length"])) for row in rows]
        places = np.array([[one, -one, 0.5] for one in lengths], dtype=np.float32)
        return [{"kind": {"prediction": one}} for one in lengths], places


def logged(*entries: Entry) -> list[tuple[float, ...] | None]:
    return [record.embedding for record in records_of(entries, lambda _entry: {})]


def packed(*numbers: float) -> bytes:
    return np.array(numbers, dtype=np.float32).tobytes()


def predictor() -> Predictor:
    description = Description(
        model="flowers", version=1, run=None, mlflow_run=None, metrics={}, signature=FLOWERS
    )
    return Predictor(Places(), description)


def test_each_request_gets_the_places_of_its_own_rows() -> None:
    answers = predictor().answer([[{"length": 1.0}, {"length": 2.0}], [{"length": 3.0}]])
    found = []
    for answer in answers:
        assert isinstance(answer, Predicted)
        assert answer.embedding is not None
        found.append(np.frombuffer(answer.embedding, np.float32).reshape(-1, 3)[:, 0].tolist())
    assert found == [[1.0, 2.0], [3.0]]


def test_each_row_is_logged_with_its_own_place_which_no_client_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct = Direct()
    plain = direct.backend.predict

    async def predict(app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        answer = await plain(app, rows, timeout_s)
        lengths = [float(str(row["length"])) for row in rows]
        return replace(answer, embedding=packed(*(n for one in lengths for n in (one, -one))))

    monkeypatch.setattr(direct.backend, "predict", predict)
    body = Rows([{"length": 1.0}, {"length": 2.0}, {"length": 3.0}])
    answer = asyncio.run(direct.service.answer("flowers", body, None))
    direct.log.close()
    assert "-1.0" not in json.dumps(answer)
    kept = {record.inputs["length"]: record.embedding for record in direct.sink.records}
    assert kept == {"1.0": (1.0, -1.0), "2.0": (2.0, -2.0), "3.0": (3.0, -3.0)}


def test_a_model_that_places_nothing_is_logged_without() -> None:
    assert logged(entry(1)) == [None]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_a_database_cannot_keep_is_left_out(bad: float) -> None:
    assert logged(replace(entry(1), embedding=packed(1.0, bad))) == [None]


def test_digits_that_mean_nothing_are_not_kept() -> None:
    [found] = logged(replace(entry(1), embedding=packed(1 / 3, 1e-12, 12345678.0)))
    assert found == (0.333333, 1e-12, 12345700.0)
