"""A version's metrics, out of MLflow's REST interface."""

from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.tracking.aliases import GONE, ROOT
from modelyard.tracking.measured import metrics_of
from tests.rollout.fake_mlflow import FakeMlflow

GONE_ANSWER = 404, {"error_code": GONE, "message": "there is none"}


class FakeRuns(FakeMlflow):
    """Model m has version 1, of run r."""

    def __init__(self) -> None:
        super().__init__()
        measured = {"key": "evaluation/label.accuracy", "value": 0.9, "step": 0}
        other = {"key": "train/loss", "value": 1.5, "step": 3}
        self.run: Any = {"run": {"data": {"metrics": [measured, other]}}}

    def _answer(self, method: str, path: str, values: dict[str, Any]) -> tuple[int, Any]:
        if self.down:
            return 503, "not now"
        match method, path.removeprefix(ROOT):
            case "GET", "/model-versions/get" if values == {"name": "m", "version": "1"}:
                return 200, {"model_version": {"run_id": "r"}}
            case "GET", "/model-versions/get" if values == {"name": "m", "version": "2"}:
                return 200, {"model_version": {}}
            case "GET", "/model-versions/get" if values == {"name": "m", "version": "3"}:
                return 200, {"model_version": {"run_id": "gone"}}
            case "GET", "/runs/get" if values == {"run_id": "r"}:
                return 200, self.run
        return GONE_ANSWER


@pytest.fixture
def mlflow() -> Iterator[FakeRuns]:
    started = FakeRuns()
    yield started
    started.close()


@pytest.fixture
def settings(mlflow: FakeRuns) -> Settings:
    return Settings.model_validate({"MODELYARD_TRACKING_URI": mlflow.url})


def test_metrics_of_the_test_split_are_read_by_output_and_name(settings: Settings) -> None:
    assert metrics_of(settings, "m", 1) == {"label.accuracy": 0.9}


@pytest.mark.parametrize(
    ("model", "version"),
    [("m", 2), ("m", 3), ("m", 9), ("other", 1)],
    ids=["no run", "run is gone", "no version", "no model"],
)
def test_of_what_is_not_there_nothing_is_known(
    settings: Settings, model: str, version: int
) -> None:
    assert metrics_of(settings, model, version) == {}


def test_a_server_that_is_away_is_not_waited_for_long(settings: Settings, mlflow: FakeRuns) -> None:
    mlflow.down = True
    with pytest.raises(TrackingError, match="cannot be reached"):
        metrics_of(settings, "m", 1, patience=0)


@pytest.mark.parametrize(
    "answer",
    [{}, {"run": 3}, {"run": {"data": {"metrics": [{"key": 1}]}}}],
    ids=["empty", "number", "metric"],
)
def test_an_answer_that_makes_no_sense_is_refused(
    settings: Settings, mlflow: FakeRuns, answer: object
) -> None:
    mlflow.run = answer
    with pytest.raises(TrackingError, match="cannot be read"):
        metrics_of(settings, "m", 1)
