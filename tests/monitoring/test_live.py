"""Live predictions are profiled per hour, by many writers, without loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelyard.monitoring.live import (
    LiveProfiles,
    live_frame,
    profile_files,
    profiled_segments,
    read_live,
    shadow_frame,
)
from modelyard.monitoring.profile import ColumnSummary, sketches, summarise
from modelyard.store.records import PredictionRecord, ShadowRecord

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


def shadow(number: int, **changes: object) -> ShadowRecord:
    return ShadowRecord.model_validate(
        {
            "prediction": f"{number:032x}",
            "version": 1,
            "at": START,
            "model": "clinic",
            "phase": "p",
            "outputs": {"label": "no"},
            "probability": {"label": 0.6},
            "latency_ms": 9.0,
            "agrees": False,
            **changes,
        }
    )


def test_shadow_answers_have_profiles_of_their_own(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    live = LiveProfiles(tmp_path)
    live.add(predictions(table(10)), [shadow(number) for number in range(7)])
    live.close()
    assert summary(tmp_path)["predicted.label"].count == 10
    content = read_live(tmp_path, "clinic", 1, variant="shadow")
    assert content is not None
    found = sketches(content)
    assert set(found) == {"predicted.label", "probability.label", "latency_ms"}
    assert found["predicted.label"].frequencies == {"no": 7}


def test_a_copy_that_failed_is_no_answer(tmp_path: Path) -> None:
    live = LiveProfiles(tmp_path)
    live.add([], [shadow(1, outputs={}, probability={}, agrees=None, error="timeout")])
    live.close()
    assert read_live(tmp_path, "clinic", 1, variant="shadow") is None


def test_each_segment_has_profiles_beside_those_of_all(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    rows = table(300)
    live = LiveProfiles(tmp_path, segment_of=lambda record: f"site={record.inputs['site']}")
    live.add(predictions(rows))
    live.close()
    assert profiled_segments(tmp_path, "clinic", 1) == ["site=east", "site=north", "site=south"]
    assert summary(tmp_path)["size"].count == 300
    for site, part in rows.groupby("site"):
        content = read_live(tmp_path, "clinic", 1, segment=f"site={site}")
        assert content is not None
        found = sketches(content)
        assert found["site"].frequencies == {site: len(part)}
        assert found["size"].maximum == part["size"].max()


@pytest.mark.parametrize("value", ["../../etc", "a/b\x00", "x" * 200, "ü=?", ""])
def test_a_segment_may_be_called_anything(
    tmp_path: Path, table: Draw, predictions: Make, value: str
) -> None:
    live = LiveProfiles(tmp_path, segment_of=lambda _: f"site={value}")
    live.add(predictions(table(3)))
    live.close()
    assert profiled_segments(tmp_path, "clinic", 1) == [f"site={value}"]
    assert read_live(tmp_path, "clinic", 1, segment=f"site={value}") is not None
    assert {path.name for path in tmp_path.iterdir()} == {"profiles"}


def test_predictions_without_a_segment_are_among_all_only(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    live = LiveProfiles(tmp_path, segment_of=lambda _: None)
    live.add(predictions(table(3)))
    live.close()
    assert profiled_segments(tmp_path, "clinic", 1) == []
    assert read_live(tmp_path, "clinic", 1, segment="site=east") is None


def test_profiles_of_hours_and_writers_merge_to_the_profile_of_all(
    tmp_path: Path, table: Draw, predictions: Make
) -> None:
    rows = table(6_000)
    for start in range(0, 6_000, 1_500):
        live = LiveProfiles(tmp_path)
        part = rows.iloc[start : start + 1_500]
        live.add(predictions(part, start=START + timedelta(minutes=start / 50)))
        live.close()
    content = read_live(tmp_path, "clinic", 1)
    assert content is not None
    found = sketches(content)["size"]
    assert (found.count, found.minimum, found.maximum) == (
        6_000,
        rows["size"].min(),
        rows["size"].max(),
    )
    assert found.quantiles is not None
    medians = found.quantiles(np.array([0.5 - found.error, 0.5 + found.error]))
    assert medians[0] <= rows["size"].median() <= medians[1]


def test_where_the_model_places_a_row_is_watched(table: Draw, predictions: Make) -> None:
    placed = predictions(table(2))
    records = [
        placed[0].model_copy(update={"embedding": (0.5, -1.0)}),
        placed[1].model_copy(update={"inputs": {"size": None, "level": 2, "site": "east"}}),
    ]
    frame = live_frame(records)
    assert frame["embedding.0"].tolist()[0] == 0.5
    assert frame["embedding.1"].isna().tolist() == [False, True]
    assert frame.dtypes.astype(str)[["size", "level", "embedding.1"]].tolist() == ["float64"] * 3
    assert "photo.sha256" not in frame


def test_answers_are_laid_out_alike_for_callers_and_shadows(predictions: Make) -> None:
    outputs = {"label": True, "dose": 2, "marks": [1.0, 3.0]}
    live = predictions(pd.DataFrame({"size": [1.0]}))[0].model_copy(update={"outputs": outputs})
    frames = [live_frame([live]), shadow_frame([shadow(1, outputs=outputs)])]
    for frame in frames:
        assert frame["predicted.label"].tolist() == ["true"]
        assert frame["predicted.dose"].tolist() == [2.0]
        assert frame["predicted.marks.mean"].tolist() == [2.0]
