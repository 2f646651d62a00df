"""Sketches of a window lead to the verdicts that its rows lead to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelyard.errors import MonitoringError
from modelyard.monitoring import check as check_module
from modelyard.monitoring.check import DriftReport, drift
from modelyard.monitoring.drift import MIN_ROWS, compare, drifted
from modelyard.monitoring.live import LiveProfiles
from modelyard.monitoring.profile import profile_frame, sketches
from modelyard.monitoring.sketches import compare_sketches, rows_of
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import Verdict
from modelyard.store.records import PredictionRecord

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]

MONITOR = MonitorSpec()


def both(
    reference: pd.DataFrame, live: pd.DataFrame, monitor: MonitorSpec = MONITOR
) -> tuple[dict[tuple[str, str], Verdict], dict[tuple[str, str], Verdict]]:
    """Verdicts from rows and from sketches, by column and kind."""
    from_rows = compare(reference, live, monitor)
    from_sketches = compare_sketches(reference, sketches(profile_frame(live)), monitor)
    first, second = (
        {(one.column, one.kind): one for one in found} for found in (from_rows, from_sketches)
    )
    return first, second


@pytest.fixture
def tables(random: np.random.Generator) -> Callable[[int, float], pd.DataFrame]:
    def draw(rows: int, shift: float = 0.0) -> pd.DataFrame:
        gaps = random.random(rows) < 0.05 + 0.3 * (shift > 0)
        shares = np.array([0.5, 0.3, 0.2]) + shift * np.array([-0.3, 0.1, 0.2])
        return pd.DataFrame(
            {
                "smooth": random.normal(shift, 1, rows),
                "heavy": np.exp(2 * random.normal(shift, 1, rows)),
                "tied": random.binomial(7, 0.3 + 0.1 * (shift > 0), rows) * 1.0,
                "gaps": np.where(gaps, np.nan, random.normal(size=rows)),
                "site": random.choice(["north", "south", "east"], rows, p=shares).astype(object),
                "calm": random.normal(size=rows),
            }
        )

    return draw


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_verdicts_are_those_of_the_rows(
    tables: Callable[[int, float], pd.DataFrame], shift: float
) -> None:
    rows, sketched = both(tables(3_000, 0.0), tables(25_000, shift))
    assert rows.keys() == sketched.keys()
    for question, exact in rows.items():
        found = sketched[question]
        assert (found.drifted, found.test, found.effect_name, found.note) == (
            exact.drifted,
            exact.test,
            exact.effect_name,
            exact.note,
        )
        assert found.effect == pytest.approx(exact.effect, abs=0.01)
        assert (found.live_rows, found.live_missing) == (exact.live_rows, exact.live_missing)
    expected = {"smooth", "heavy", "tied", "gaps", "site"} if shift else set()
    assert {column for (column, _), one in sketched.items() if one.drifted} == expected


@pytest.mark.parametrize(
    "name", ["ks", "z", "wasserstein", "psi", "jensen-shannon", "kl", "hellinger"]
)
def test_any_test_can_be_made_from_sketches(
    tables: Callable[[int, float], pd.DataFrame], name: str
) -> None:
    monitor = MonitorSpec.model_validate({"tests": {"number": name}, "min_effect": 0.01})
    rows, sketched = both(tables(2_000, 0.0)[["smooth", "calm"]], tables(9_000, 0.5), monitor)
    for question, exact in rows.items():
        assert sketched[question].effect == pytest.approx(exact.effect, rel=0.05, abs=0.01)
        assert sketched[question].drifted == exact.drifted


def test_measures_are_nearly_those_of_the_rows(
    tables: Callable[[int, float], pd.DataFrame],
) -> None:
    rows, sketched = both(tables(2_000, 0.0), tables(9_000, 0.5))
    exact, found = (side["smooth", "number"].measures for side in (rows, sketched))
    assert exact.keys() == found.keys()
    for name, value in exact.items():
        assert found[name] == pytest.approx(value, rel=0.05, abs=0.01)


def test_a_column_that_the_window_lacks_drifts(random: np.random.Generator) -> None:
    reference = pd.DataFrame({"x": random.normal(size=500), "y": random.normal(size=500)})
    rows, sketched = both(reference, pd.DataFrame({"y": random.normal(size=400)}))
    assert {key for key, one in sketched.items() if one.drifted} == {("x", "missing")}
    assert sketched["x", "number"].note == rows["x", "number"].note


@pytest.mark.parametrize(("value", "note"), [(3.0, "always 3"), ("red", "always red")])
def test_a_constant_column_is_not_tested(value: object, note: str) -> None:
    constant = pd.DataFrame({"x": pd.Series([value] * 400)})
    _, sketched = both(constant, constant)
    assert {(one.test, one.note) for one in sketched.values()} == {("none", note)}


def test_numbers_that_stand_for_categories_are_counted(random: np.random.Generator) -> None:
    known = pd.DataFrame({"predicted.digit": random.integers(0, 10, 2_000).astype(str)})
    live = pd.DataFrame({"predicted.digit": random.integers(0, 5, 30_000) * 1.0})
    frame = pd.DataFrame({"x": random.normal(size=100)})
    seen = sketches(profile_frame(live.assign(x=random.normal(size=30_000))))
    found = {one.column: one for one in compare_sketches(frame, seen, MONITOR, known)}
    assert found["predicted.digit"].kind == "category"
    assert found["predicted.digit"].effect == pytest.approx(0.5, abs=0.02)


def test_too_many_words_are_not_counted() -> None:
    known = pd.DataFrame({"id": [f"id{number}" for number in range(500)]})
    live = pd.DataFrame({"id": [f"id{number}" for number in range(20_000)]})
    (found,) = compare_sketches(known, sketches(profile_frame(live)), MONITOR)
    assert (found.test, found.drifted) == ("none", False)


def test_an_embedding_is_said_to_be_untested(random: np.random.Generator) -> None:
    frame = pd.DataFrame({"x": random.normal(size=100)})
    outputs = pd.DataFrame(random.normal(size=(100, 2)), columns=["embedding.0", "embedding.1"])
    seen = sketches(profile_frame(frame))
    found = {one.column: one for one in compare_sketches(frame, seen, MONITOR, outputs)}
    assert found["embedding"].test == "none"
    assert "profiles do not keep it" in str(found["embedding"].note)


def test_too_few_rows_are_refused(random: np.random.Generator) -> None:
    frame = pd.DataFrame({"x": random.normal(size=100)})
    seen = sketches(profile_frame(frame[: MIN_ROWS - 1]))
    assert rows_of(seen) == MIN_ROWS - 1
    with pytest.raises(MonitoringError, match="the window has 29 rows"):
        compare_sketches(frame, seen, MONITOR)
    assert rows_of({}) == 0


@pytest.fixture
def check(
    store: Store, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., DriftReport]:
    monkeypatch.setattr(check_module, "MOST_ROWS", 200)

    def make(window: int | str = "all", segment: str | None = None) -> DriftReport:
        return drift(
            "clinic",
            1,
            reference_folder=reference,
            store=store,
            monitor=MonitorSpec(min_effect=0.2),
            window=window,
            destination=tmp_path / "drift.html",
            home=tmp_path,
            segment=segment,
        )

    return make


type Check = Callable[..., DriftReport]


def profiled(home: Path, records: list[PredictionRecord], segment: str | None = None) -> None:
    profiles = LiveProfiles(home, segment_of=lambda record: segment_of(record, segment))
    profiles.add(records)
    profiles.close()


def segment_of(record: PredictionRecord, column: str | None) -> str | None:
    return None if column is None else f"{column}={record.inputs[column]}"


def test_a_large_window_is_judged_from_its_profiles(
    store: Store, check: Check, table: Draw, predictions: Make, tmp_path: Path
) -> None:
    records = predictions(pd.concat([table(400), table(400, shift=2.0)], ignore_index=True))
    store.log_predictions(records)
    profiled(tmp_path, records)
    report = check()
    found = report.check
    assert (found.source, found.rows) == ("profiles", 800)
    assert (found.first_at, found.last_at) == (records[0].at, records[-1].at)
    assert drifted(found.verdicts) == ["size"]
    assert "Drift in 1 of" in report.html.read_text()
    assert store.verdicts("clinic") == [found]
    # Its date is looked for among the newest rows alone, all of which drifted here.
    assert found.verdicts[0].since is not None
    assert timedelta(0) <= found.verdicts[0].since - records[600].at <= timedelta(seconds=5)


def test_a_large_window_without_profiles_is_read(
    store: Store, check: Check, table: Draw, predictions: Make, tmp_path: Path
) -> None:
    records = predictions(table(400))
    store.log_predictions(records)
    assert check().check.source == "rows"
    profiled(tmp_path, records[:100])
    assert check().check.source == "rows"


def test_a_number_of_predictions_is_always_read(
    store: Store, check: Check, table: Draw, predictions: Make, tmp_path: Path
) -> None:
    records = predictions(table(400))
    store.log_predictions(records)
    profiled(tmp_path, records)
    assert (check(300).check.source, check(300).check.rows) == ("rows", 300)


def test_a_time_span_has_the_profiles_of_its_hours(
    store: Store, check: Check, table: Draw, predictions: Make, tmp_path: Path
) -> None:
    hour = timedelta(hours=1)
    begin = datetime.now(UTC) - 3 * hour
    old = predictions(table(300, shift=3.0), start=begin - 40 * hour)
    new = predictions(table(300), start=begin)
    store.log_predictions([*old, *new])
    profiled(tmp_path, [*old, *new])
    found = check("24h").check
    assert (found.source, found.rows, found.window) == ("profiles", 300, "24h")
    assert not found.drifted
    assert found.first_at == new[0].at
    assert check().check.drifted


def test_a_segment_has_profiles_of_its_own(
    store: Store, check: Check, table: Draw, predictions: Make, tmp_path: Path
) -> None:
    rows = table(900)
    rows.loc[rows["site"] == "south", "size"] += 2
    records = predictions(rows)
    store.log_predictions(records)
    profiled(tmp_path, records, "site")
    south, north = (check(segment=f"site={name}").check for name in ("south", "north"))
    assert (south.source, south.segment) == ("profiles", "site=south")
    assert south.rows == (rows["site"] == "south").sum()
    assert drifted(south.verdicts) == ["size"]
    assert not north.drifted
