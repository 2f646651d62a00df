"""A planted change is dated to where it was planted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.monitoring.dating import continued, dated
from modelyard.monitoring.drift import compare
from modelyard.monitoring.onset import (
    codes_of_numbers,
    codes_of_rows,
    codes_of_words,
    onset,
)
from modelyard.monitoring.window import LiveWindow
from modelyard.spec.models import MonitorSpec
from modelyard.store.monitoring_records import DriftCheck, Verdict

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
MONITOR = MonitorSpec()


def window(frame: pd.DataFrame, outputs: pd.DataFrame | None = None) -> LiveWindow:
    """A prediction a second."""
    first = int(START.timestamp() * 1e6)
    return LiveWindow(frame, outputs, first + np.arange(len(frame)) * 1_000_000)


def errors(random: np.random.Generator, at: int, shift: float, times: int = 40) -> np.ndarray:
    """By how many rows planted shifts are missed."""
    found = []
    for _ in range(times):
        live = random.normal(size=1_000)
        live[at:] += shift
        codes = codes_of_numbers(random.normal(size=2_000), live)
        found.append(onset(*codes) - at)
    return np.abs(found)


@pytest.mark.parametrize("at", [100, 500, 900])
@pytest.mark.parametrize(("shift", "most"), [(3.0, 3), (1.0, 25), (0.5, 110)])
def test_a_shift_is_dated_the_better_the_larger_it_is(
    random: np.random.Generator,
    record_property: Callable[[str, object], None],
    at: int,
    shift: float,
    most: int,
) -> None:
    missed = errors(random, at, shift)
    record_property("median error in rows", float(np.median(missed)))
    assert np.median(missed) <= most


def test_a_window_that_is_all_changed_begins_with_its_first_row(
    random: np.random.Generator,
) -> None:
    found = [
        onset(*codes_of_numbers(random.normal(size=2_000), random.normal(1, 1, 1_000)))
        for _ in range(20)
    ]
    assert np.median(found) == 0


def test_a_changed_mix_of_categories_is_dated(random: np.random.Generator) -> None:
    known = random.choice(["a", "b"], 2_000, p=[0.8, 0.2]).astype(object)
    live = np.concatenate(
        [
            random.choice(["a", "b"], 300, p=[0.8, 0.2]),
            random.choice(["a", "b", "new"], 700, p=[0.2, 0.5, 0.3]),
        ]
    ).astype(object)
    assert onset(*codes_of_words(known, live)) == pytest.approx(300, abs=15)


def test_an_embedding_is_dated_along_the_line_of_the_change(random: np.random.Generator) -> None:
    live = random.normal(size=(1_000, 8))
    live[400:, 2:4] += 1.5
    found = onset(*codes_of_rows(random.normal(size=(1_500, 8)), live))
    assert found == pytest.approx(400, abs=25)


def test_embeddings_whose_numbers_depend_on_each_other_can_be_dated(
    random: np.random.Generator,
) -> None:
    one = random.normal(size=(300, 1))
    both = np.hstack([one, one])
    live = both.copy()
    live[100:] += 5
    assert onset(*codes_of_rows(both, live)) == pytest.approx(100, abs=3)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
)
@settings(deadline=None)
def test_the_onset_is_the_most_likely_split(known: list[int], seen: list[int]) -> None:
    def likelihood(parts: list[list[int]]) -> float:
        return sum(
            part.count(kind) * np.log(part.count(kind) / len(part))
            for part in parts
            for kind in set(part)
        )

    chances = [likelihood([known + seen[:at], seen[at:]]) for at in range(len(seen))]
    found = onset(np.array(known), np.array(seen))
    assert chances[found] == pytest.approx(max(chances), abs=1e-9)


def test_each_kind_of_verdict_gets_its_moment(random: np.random.Generator) -> None:
    rows, at = 600, 300
    late = np.arange(rows) >= at
    reference = pd.DataFrame(
        {
            "size": random.normal(size=2_000),
            "site": random.choice(["a", "b"], 2_000),
            "gone": random.normal(size=2_000),
            "still": random.normal(size=2_000),
        }
    )
    live = pd.DataFrame(
        {
            "size": random.normal(size=rows) + 2 * late,
            "site": np.where(late, "c", random.choice(["a", "b"], rows)),
            "gone": np.where(late, np.nan, random.normal(size=rows)),
            "still": random.normal(size=rows),
        }
    )
    places = [f"embedding.{axis}" for axis in range(4)]
    outputs = (
        pd.DataFrame(random.normal(size=(900, 4)), columns=places),
        pd.DataFrame(random.normal(size=(rows, 4)) + 2 * late[:, None], columns=places),
    )
    verdicts = compare(reference, live, MONITOR, outputs)
    found = dated(verdicts, reference, window(live, outputs[1]), outputs[0])
    moments = {(one.column, one.kind): one.since for one in found if one.since is not None}
    assert set(moments) == {
        ("size", "number"),
        ("site", "category"),
        ("gone", "missing"),
        ("embedding", "embedding"),
    }
    for moment in moments.values():
        assert abs((moment - START).total_seconds() - at) <= 10


def test_rows_without_a_value_are_counted_in_time(random: np.random.Generator) -> None:
    values = random.normal(size=600) + 3 * (np.arange(600) >= 400)
    values[::2] = np.nan
    reference = pd.DataFrame({"x": random.normal(size=500)})
    live = pd.DataFrame({"x": values})
    found = dated(compare(reference, live, MONITOR), reference, window(live))
    (number,) = [one for one in found if one.kind == "number"]
    assert number.since is not None
    assert abs((number.since - START).total_seconds() - 400) <= 6


def test_a_column_that_the_window_lacks_is_dated_to_its_beginning(
    random: np.random.Generator,
) -> None:
    reference = pd.DataFrame({"x": random.normal(size=50), "y": random.normal(size=50)})
    live = pd.DataFrame({"y": random.normal(size=50)})
    found = dated(compare(reference, live, MONITOR), reference, window(live))
    assert [one.since for one in found if one.drifted] == [START]


def check(since: datetime | None, *, drifted: bool = True, kind: str = "number") -> DriftCheck:
    verdict = Verdict.model_validate(
        {
            **dict.fromkeys(("statistic", "effect", "reference_missing", "live_missing"), 0.3),
            "column": "x",
            "kind": kind,
            "test": "t",
            "effect_name": "e",
            "since": since,
            **dict.fromkeys(("p_value", "p_adjusted"), 0.0),
            "drifted": drifted,
            "reference_rows": 9,
            "live_rows": 9,
        }
    )
    return DriftCheck.model_validate(
        {
            "model": "m",
            "version": 1,
            "window": "all",
            "rows": 9,
            "reference_rows": 9,
            "first_at": START,
            "last_at": START,
            "alpha": 0.05,
            "correction": "bonferroni",
            "min_effect": 0.1,
            "drifted": drifted,
            "verdicts": (verdict,),
        }
    )


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("before", "since"),
    [
        (None, START),
        (check(START - HOUR), START - HOUR),
        (check(START + HOUR), START),
        (check(START - HOUR, drifted=False), START),
        (check(START - HOUR, kind="missing"), START),
        (check(None), START),
    ],
    ids=["no check", "older", "younger", "no drift then", "another question", "undated"],
)
def test_drift_that_goes_on_keeps_its_first_date(
    before: DriftCheck | None, since: datetime
) -> None:
    assert continued(check(START), before).verdicts[0].since == since


def test_what_has_not_drifted_has_no_date() -> None:
    found = continued(check(None, drifted=False), check(START))
    assert found.verdicts[0].since is None
