"""A check reads the window, judges it, writes the report and keeps the verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from modelyard.errors import MonitoringError, UsageError
from modelyard.monitoring import check as check_module
from modelyard.monitoring.check import DriftReport, Window, drift
from modelyard.monitoring.drift import drifted
from modelyard.monitoring.profile import summarise
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.records import PredictionRecord

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]


@pytest.fixture
def check(store: Store, reference: Path, tmp_path: Path) -> Callable[..., DriftReport]:
    def make(
        window: Window = 1000, version: int = 1, name: str = "drift", segment: str | None = None
    ) -> DriftReport:
        return drift(
            "clinic",
            version,
            reference_folder=reference,
            store=store,
            monitor=MonitorSpec(),
            window=window,
            destination=tmp_path / "reports" / f"{name}.html",
            run="run-1",
            segment=segment,
        )

    return make


type Check = Callable[..., DriftReport]


def test_drift_is_found_written_and_kept(
    store: Store, check: Check, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(300, shift=1.0)))
    report = check()
    assert drifted(report.check.verdicts) == ["size"]
    assert report.check.drifted
    assert "Drift in 1 of 3 columns" in report.html.read_text()
    assert report.json_file.exists()
    assert summarise(report.profile.read_bytes())["size"].count == 300
    assert store.verdicts("clinic") == [report.check]


def test_no_drift_is_found_where_none_is(
    store: Store, check: Check, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(300)))
    assert not check().check.drifted


def test_the_window_is_the_newest_predictions(
    store: Store, check: Check, table: Draw, predictions: Make
) -> None:
    records = predictions(pd.concat([table(200, shift=3.0), table(200)], ignore_index=True))
    store.log_predictions(records)
    recent, everything = check(200), check("all")
    assert (recent.check.rows, recent.check.drifted) == (200, False)
    assert (recent.check.first_at, recent.check.last_at) == (records[200].at, records[-1].at)
    assert (everything.check.rows, everything.check.drifted) == (400, True)
    assert everything.check.window == "all"


def test_only_the_version_is_looked_at(
    store: Store, check: Check, table: Draw, predictions: Make
) -> None:
    store.log_predictions([*predictions(table(50)), *predictions(table(90), version=2)])
    assert check("all", version=2).check.rows == 90


def test_a_window_that_is_read_in_pieces_is_the_same(
    store: Store,
    check: Check,
    table: Draw,
    predictions: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = table(300, shift=0.5).astype({"size": "object"})
    rows.loc[250:, "size"] = None
    store.log_predictions(predictions(rows))
    whole = check(name="whole").check.verdicts
    in_pieces = Store.prediction_batches
    monkeypatch.setattr(
        check_module.Store,
        "prediction_batches",
        lambda self, model, **query: in_pieces(self, model, **query, size=40),
    )
    assert check(name="pieces").check.verdicts == whole


@pytest.mark.parametrize("rows", [0, 12])
def test_too_few_predictions_are_refused_with_how_many_more(
    store: Store, check: Check, table: Draw, predictions: Make, rows: int
) -> None:
    store.log_predictions(predictions(table(rows)))
    message = rf"clinic version 1 has {rows} rows.*{30 - rows} more \(send more requests"
    with pytest.raises(MonitoringError, match=message):
        check()
    assert store.verdicts("clinic") == []


def test_ten_thousand_predictions_are_judged_in_seconds(
    store: Store,
    check: Check,
    table: Draw,
    predictions: Make,
    record_property: Callable[[str, object], None],
) -> None:
    store.log_predictions(predictions(table(10_000)))
    begun = time.perf_counter()
    report = check(10_000)
    seconds = time.perf_counter() - begun
    record_property("seconds for a report on 10,000 predictions", round(seconds, 2))
    assert report.check.last_at - report.check.first_at == timedelta(seconds=9_999)
    assert seconds < 20  # under 2 on an idle machine


def test_answers_are_compared_where_the_version_kept_its_own(
    store: Store, check: Check, table: Draw, predictions: Make, reference: Path
) -> None:
    store.log_predictions(predictions(table(300)))
    kept = {"predicted.label": ["yes", "no"] * 100, "probability.label": [0.9, 0.8] * 100}
    pd.DataFrame({**kept, "truth.label": ["yes"] * 200}).to_parquet(reference / "outputs.parquet")
    report = check()
    assert drifted(report.check.verdicts) == ["predicted.label", "probability.label"]
    assert "predicted.label" in summarise(report.profile.read_bytes())


def test_a_segment_is_compared_with_its_own_reference(
    store: Store, check: Check, table: Draw, predictions: Make
) -> None:
    rows = table(600)
    rows.loc[rows["site"] == "south", "size"] += 2
    store.log_predictions(predictions(rows))
    south, north = (check(segment=f"site={name}", name=name).check for name in ("south", "north"))
    assert (south.segment, south.rows) == ("site=south", (rows["site"] == "south").sum())
    assert 500 < south.reference_rows < 700
    assert drifted(south.verdicts) == ["size"]
    assert not north.drifted
    assert {one.note for one in south.verdicts if one.column == "site"} == {"always south"}


def test_a_time_span_ends_now(store: Store, check: Check, table: Draw, predictions: Make) -> None:
    begin = datetime.now(UTC) - timedelta(minutes=30)
    old = predictions(table(100, shift=3.0), start=begin - timedelta(hours=2))
    store.log_predictions([*old, *predictions(table(200), start=begin)])
    found = check("1h").check
    assert (found.window, found.rows, found.drifted) == ("1h", 200, False)


@pytest.mark.parametrize("window", ["yesterday", 0])
def test_what_is_no_window_is_refused(check: Check, window: Window) -> None:
    with pytest.raises(UsageError, match="is no window"):
        check(window)


def test_drift_is_dated_and_keeps_its_date_as_the_window_moves_on(
    store: Store, check: Check, table: Draw, predictions: Make
) -> None:
    records = predictions(pd.concat([table(150), table(350, shift=2.0)], ignore_index=True))
    store.log_predictions(records[:300])
    first = check(200, name="first").check.verdicts[0].since
    assert first is not None
    assert abs(first - records[150].at) <= timedelta(seconds=5)
    store.log_predictions(records[300:])
    moved = check(200, name="second").check
    assert moved.first_at > first
    assert moved.verdicts[0].since == first
