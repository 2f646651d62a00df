"""A loaded model answers batches of requests; one bad request does not spoil the others."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import pytest
from PIL import Image

from modelyard.errors import DataError
from modelyard.features import ModelSignature
from serving.model.backend import Description, Predicted
from serving.model.examples import example_row
from serving.model.predictor import Failure, Framed, Predictor
from serving.requests.rows import Row, check_rows
from tests.serving.fakes import DIGITS, FLOWERS


@dataclass
class Doubler:
    """Predicts twice the length; fails at a length of 13, and refuses one of 14."""

    sizes: list[int] = field(default_factory=list)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        self.sizes.append(len(frame))
        if (frame["length"] == 13).any():
            raise ZeroDivisionError
        if (frame["length"] == 14).any():
            message = "row 0, length: is 14"
            raise DataError(message)
        return pd.DataFrame({"kind": frame["length"] * 2})


class Forgetful(Doubler):
    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return super().predict(frame)[1:]


def predictor(model: Doubler, signature: ModelSignature = FLOWERS) -> Predictor:
    description = Description(
        model="flowers", version=1, run=None, mlflow_run=None, metrics={}, signature=signature
    )
    return Predictor(Framed(model, signature), description)


def request(*lengths: float) -> list[Row]:
    return check_rows(FLOWERS, [{"length": length} for length in lengths])


def numbers(answer: Predicted | Failure) -> list[object]:
    assert isinstance(answer, Predicted)
    return [output["kind"]["prediction"] for output in answer.outputs]


def test_requests_are_answered_in_one_pass_each_with_its_own_rows() -> None:
    model = Doubler()
    answers = predictor(model).answer([request(1, 2), request(3), request(4, 5, 6)])
    assert [numbers(answer) for answer in answers] == [[2, 4], [6], [8, 10, 12]]
    assert model.sizes == [6]


def test_the_time_in_the_model_is_that_of_the_batch() -> None:
    first, second = predictor(Doubler()).answer([request(1), request(2)])
    assert isinstance(first, Predicted)
    assert isinstance(second, Predicted)
    assert first.milliseconds == second.milliseconds > 0


def test_a_request_that_the_model_fails_at_fails_alone() -> None:
    answers = predictor(Doubler()).answer([request(1), request(13), request(3)])
    assert numbers(answers[0]) == [2]
    assert answers[1] == Failure("ZeroDivisionError", by_its_rows=False)
    assert numbers(answers[2]) == [6]


def test_a_request_whose_rows_are_to_blame_is_told_so() -> None:
    [answer] = predictor(Doubler()).answer([request(14)])
    assert answer == Failure("row 0, length: is 14", by_its_rows=True)


def test_a_model_that_answers_too_few_rows_has_failed() -> None:
    [answer] = predictor(Forgetful()).answer([request(1, 2)])
    assert isinstance(answer, Failure)


def test_an_example_row_is_one_that_the_checks_let_through() -> None:
    row = example_row(FLOWERS)
    assert check_rows(FLOWERS, [row]) == [row]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA"), (None, "RGB")])
def test_an_example_image_has_the_model_s_size_and_channels(
    channels: int | None, mode: str
) -> None:
    import io

    [feature] = DIGITS.inputs
    changed = feature.model_copy(update={"channels": channels})
    signature = ModelSignature(inputs=(changed,), outputs=())
    row = example_row(signature)
    data = row["image"]
    assert isinstance(data, bytes)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, image.mode) == ((28, 28), mode)
