"""Predictions reach the real database and its profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from modelyard.errors import StoreError
from modelyard.monitoring.live import profile_files, profiled_segments, read_live
from modelyard.monitoring.profile import sketches, summarise
from modelyard.monitoring.reference import make_reference
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.store.database import Store, open_store
from modelyard.store.records import ShadowRecord
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


def files_of(folder: Path, **monitor: object) -> str:
    """The files of a version whose spec says so."""
    model = {
        "input_features": [
            {"name": "image", "type": "image"},
            {"name": "site", "type": "category"},
        ],
        "output_features": [{"name": "label", "type": "category"}],
    }
    spec = Spec.model_validate(
        {"name": "wards", "data": {"path": "d"}, "model": model, "monitor": monitor}
    )
    rows = pd.DataFrame({"image": [None] * 4, "site": ["north", "south"] * 2}, dtype="object")
    make_reference(spec)(rows, folder, folder / "files" / "reference")
    (folder / "files" / "spec.json").write_text(spec.model_dump_json())
    return str(folder / "files")


def ward(number: int, files: str) -> Entry:
    row = {"image": picture(shade=7), "site": ("north", "south", "mars")[number % 3]}
    return replace(
        entry(number),
        model="wards",
        features=[("image", "image"), ("site", "category")],
        row=row,
        files=files,
    )


def test_inputs_are_kept_whole_where_the_spec_asks_for_it(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    files = files_of(tmp_path, keep_inputs=True)
    log = PredictionLog(StoreSink(settings))
    log.add([ward(number, files) for number in range(6)])
    log.close()
    records = store.predictions("wards", last=None)
    raw = [record.raw for record in records if record.raw is not None]
    assert len(raw) == 6
    [path] = {str(one["image"]) for one in raw}
    assert (settings.home / path).read_bytes() == picture(shade=7)
    assert {str(one["site"]) for one in raw} == {"north", "south", "mars"}


def test_inputs_are_not_kept_whole_otherwise(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    log = PredictionLog(StoreSink(settings))
    log.add([ward(1, files_of(tmp_path))])
    log.close()
    [record] = store.predictions("wards", last=None)
    assert record.raw is None
    assert not (settings.home / "inputs").exists()


def test_segments_and_shadows_are_profiled_beside_all(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    files = files_of(tmp_path, segment_by="site")
    unseen = ShadowRecord(
        prediction=f"{1:032x}",
        version=3,
        at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        model="wards",
        phase="p",
        outputs={"label": "4"},
        probability={"label": 0.5},
        latency_ms=1.0,
        agrees=False,
    )
    log = PredictionLog(StoreSink(settings))
    log.add([ward(number, files) for number in range(6)])
    log.shadow(unseen)
    log.close()
    assert len(store.predictions("wards", last=None)) == 6
    home = settings.home
    assert profiled_segments(home, "wards", 2) == ["site=(others)", "site=north", "site=south"]
    north = read_live(home, "wards", 2, segment="site=north")
    shadow = read_live(home, "wards", 3, variant="shadow")
    assert north is not None
    assert shadow is not None
    assert summarise(north)["site"].count == 2
    assert sketches(shadow)["predicted.label"].frequencies == {"4": 1}
