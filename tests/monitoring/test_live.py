"""Live predictions are profiled per hour, by many writers, without loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pandas as pd

from modelyard.monitoring.live import LiveProfiles, profile_files, read_live
from modelyard.monitoring.profile import ColumnSummary, summarise
from modelyard.store.records import PredictionRecord

from datetime import UTC, datetime  # isort: skip

START = datetime(2026, 11, 1, 12, tzinfo=UTC)

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]


def summary(home: Path, **hours: datetime) -> dict[str, ColumnSummary]:
    content = read_live(home, "clinic", 1, **hours)
    assert content is not None
    return summarise(content)


def test_inputs_answers_and_speed_are_profiled(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    live = LiveProfiles(tmp_path)
    live.add(predictions(table(100)))
    live.close()
    found = summary(tmp_path)
    assert set(found) == {
        "size",
        "level",
        "site",
        "predicted.label",
        "probability.label",
        "latency_ms",
    }
    assert {one.count for one in found.values()} == {100}


def test_each_hour_has_its_own_file(tmp_path: Path, table: Draw, predictions: Make) -> None:
    live = LiveProfiles(tmp_path)
    for hour in range(3):
        live.add(predictions(table(40), start=START + timedelta(hours=hour)))
    live.close()
    files = profile_files(tmp_path, "clinic", 1)
    assert [path.name[:13] for path in files] == ["2026-11-01T12", "2026-11-01T13", "2026-11-01T14"]
    assert summary(tmp_path)["size"].count == 120


def test_a_stretch_of_hours_can_be_read(tmp_path: Path, table: Draw, predictions: Make) -> None:
    live = LiveProfiles(tmp_path)
    for hour in range(4):
        live.add(predictions(table(10), start=START + timedelta(hours=hour)))
    live.close()
    one, two = START + timedelta(hours=1), START + timedelta(hours=2, minutes=30)
    assert summary(tmp_path, since=one, until=two)["size"].count == 20
    assert read_live(tmp_path, "clinic", 1, since=START + timedelta(days=1)) is None


def test_many_writers_do_not_overwrite_each_other(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    for _ in range(3):
        live = LiveProfiles(tmp_path)
        live.add(predictions(table(10)))
        live.close()
    assert summary(tmp_path)["size"].count == 30


def test_a_straggler_of_an_hour_that_is_over_is_kept(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    live = LiveProfiles(tmp_path, every=0.0)
    for hour in (0, 1, 2, 3, 0):
        live.add(predictions(table(10), start=START + timedelta(hours=hour)))
    live.close()
    assert summary(tmp_path, until=START)["size"].count == 20
    assert summary(tmp_path)["size"].count == 50


def test_versions_are_kept_apart(tmp_path: Path, table: Draw, predictions: Make) -> None:
    live = LiveProfiles(tmp_path)
    live.add([*predictions(table(10)), *predictions(table(5), version=2)])
    live.close()
    assert summary(tmp_path)["size"].count == 10


def test_nothing_is_written_before_its_time(tmp_path: Path, table: Draw, predictions: Make) -> None:
    live = LiveProfiles(tmp_path, every=3600)
    live.add(predictions(table(10)))
    assert profile_files(tmp_path, "clinic", 1) == []
    live.flush()
    assert len(profile_files(tmp_path, "clinic", 1)) == 1


def test_a_flush_without_news_writes_nothing(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    live = LiveProfiles(tmp_path)
    live.add(predictions(table(10)))
    live.flush()
    (file,) = profile_files(tmp_path, "clinic", 1)
    file.unlink()
    live.close()
    assert profile_files(tmp_path, "clinic", 1) == []


def test_profiling_keeps_up_with_the_endpoint(
    tmp_path: Path,
    table: Draw,
    predictions: Make,
    record_property: Callable[[str, object], None],
) -> None:
    records = predictions(table(5_000))
    live = LiveProfiles(tmp_path)
    live.add(records[:10])  # the import of whylogs is paid once
    begun = time.perf_counter()
    for start in range(0, len(records), 1_000):
        live.add(records[start : start + 1_000])
    rate = len(records) / (time.perf_counter() - begun)
    record_property("profiled rows/s in batches of 1,000", round(rate))
    live.close()
    assert rate > 2_000  # some 50,000 on an idle core; row by row it would be 300
