"""Predictions reach the real database and its profiles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelyard.errors import StoreError
from modelyard.monitoring.live import profile_files, read_live
from modelyard.monitoring.profile import summarise
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from serving.prediction_log.log import Batch, Entry, PredictionLog
from serving.prediction_log.sink import StoreSink
from tests.serving.fakes import picture


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    settings.home.mkdir()
    with open_store(settings.database_url) as opened:
        yield opened


def entry(number: int) -> Entry:
    return Entry(
        id=f"{number:032x}",
        at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        request="r",
        model="digits",
        version=2,
        run="run-1",
        features=[("image", "image")],
        row={"image": picture(shade=number)},
        output={"label": {"prediction": "3", "probability": 0.5}},
        milliseconds=2.0,
    )


def test_an_image_is_logged_by_its_measures_and_hash(settings: Settings, store: Store) -> None:
    log = PredictionLog(StoreSink(settings))
    log.add([entry(255)])
    log.close()
    [record] = store.predictions("digits", last=None)
    assert record.inputs["image.brightness"] == 1.0
    assert record.inputs["image.width"] == 28
    assert len(str(record.inputs["image.sha256"])) == 64
    assert record.outputs == {"label": "3"}
    assert record.run == "run-1"


def test_predictions_are_profiled_once_each(settings: Settings, store: Store) -> None:
    log = PredictionLog(StoreSink(settings))
    log.add([entry(number) for number in range(1, 201)])
    log.close()
    assert len(store.predictions("digits", last=None)) == 200
    profile = read_live(settings.home, "digits", 2)
    assert profile is not None
    assert summarise(profile)["image.brightness"].count == 200


def test_a_profile_that_cannot_be_written_loses_no_prediction(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    (settings.home / "profiles").write_text("in the way")
    log = PredictionLog(StoreSink(settings))
    log.add([entry(1)])
    log.close()
    assert len(store.predictions("digits", last=None)) == 1
    assert not profile_files(settings.home, "digits", 2)
    assert log.state.dropped == 0
    assert "beside its work" in caplog.text or "not profiled" in caplog.text


def test_without_a_database_the_sink_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_DATABASE_URL", f"sqlite:///{tmp_path}/in/the/way")
    (tmp_path / "in").write_text("a file")
    sink = StoreSink(Settings())
    with pytest.raises(StoreError):
        sink.keep(Batch([]))
