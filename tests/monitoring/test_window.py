"""A window is what was asked for, in the order of time, in columns like the reference's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from modelyard.errors import MonitoringError, UsageError
from modelyard.monitoring.segments import MOST_VALUES, OTHERS
from modelyard.monitoring.window import Segment, parse_segment, read_window, span_of
from modelyard.store.database import Store
from modelyard.store.predictions import Span
from modelyard.store.records import PredictionRecord

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "span"),
    [
        (1000, Span(last=1000)),
        ("all", Span()),
        ("90m", Span(since=NOON - timedelta(minutes=90), until=NOON)),
        ("24h", Span(since=NOON - timedelta(hours=24), until=NOON)),
        ("7d", Span(since=NOON - timedelta(days=7), until=NOON)),
    ],
)
def test_a_window_is_a_stretch(window: int | str, span: Span) -> None:
    assert span_of(window, NOON) == span


@pytest.mark.parametrize("window", [0, -3, "", "24", "h", "0h", "1.5h", "24h ago", "1000000h"])
def test_what_is_no_window_is_refused(window: int | str) -> None:
    with pytest.raises(UsageError, match=r"is no window.*24h"):
        span_of(window, NOON)


def test_a_segment_is_a_column_and_a_value() -> None:
    assert parse_segment("site=north=west") == Segment("site", "north=west")
    assert parse_segment("site=") == Segment("site", "")
    assert parse_segment("") is None
    assert parse_segment(None) is None


@pytest.mark.parametrize("text", ["site", "=north"])
def test_what_is_no_segment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no segment.*COLUMN=VALUE"):
        parse_segment(text)


def test_values_are_compared_as_they_are_written() -> None:
    frame = pd.DataFrame({"level": [1.0, 2.0, np.nan], "on": [True, False, True]})
    assert len(Segment("level", "2").keep(frame)) == 1
    assert len(Segment("on", "true").keep(frame)) == 2


def test_a_segment_of_an_unknown_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(MonitoringError, match=r"no column where.*observed columns are site"):
        Segment("where", "x").among(pd.DataFrame({"site": ["a"]}))


def test_the_segment_of_all_others_has_what_no_other_has() -> None:
    often = [f"s{number:02}" for number in range(MOST_VALUES)] * 2
    reference = pd.DataFrame({"site": [*often, "rare", "rarer", None]})
    others = Segment("site", OTHERS).among(reference)
    assert others.keep(reference)["site"].tolist()[:2] == ["rare", "rarer"]
    assert len(others.keep(reference)) == 3
    live = pd.DataFrame({"input.site": ["s03", "never seen"]})
    assert others.keep(live, "input.site")["input.site"].tolist() == ["never seen"]
    assert len(Segment("site", "s03").among(reference).keep(reference)) == 2


def test_rows_come_in_the_order_of_time_with_their_moments(
    store: Store, table: Draw, predictions: Make
) -> None:
    rows = table(60)
    records = predictions(rows)
    store.log_predictions(records[::-1])
    found = read_window(store, "clinic", 1, Span(last=40), rows)
    assert found.frame["size"].tolist() == rows["size"].tolist()[20:]
    assert (found.first_at, found.last_at) == (records[20].at, records[-1].at)
    assert found.at(7) == records[27].at


def test_a_span_leaves_out_what_is_older(store: Store, table: Draw, predictions: Make) -> None:
    records = predictions(table(100))
    store.log_predictions(records)
    span = Span(since=records[50].at, until=records[89].at)
    assert len(read_window(store, "clinic", 1, span, table(1)).frame) == 40


def test_a_segment_has_its_rows_only(store: Store, table: Draw, predictions: Make) -> None:
    rows = table(300)
    store.log_predictions(predictions(rows))
    found = read_window(store, "clinic", 1, Span(), rows, segment=Segment("site", "south"))
    assert len(found.frame) == (rows["site"] == "south").sum()
    assert set(found.frame["site"]) == {"south"}


def test_a_segment_that_is_too_small_is_refused_by_name(
    store: Store, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(100)))
    with pytest.raises(MonitoringError, match="where site is west has 0 rows"):
        read_window(store, "clinic", 1, Span(), table(1), segment=Segment("site", "west"))


def test_outputs_are_laid_out_like_their_reference(
    store: Store, table: Draw, predictions: Make
) -> None:
    records = [
        one.model_copy(update={"embedding": (float(place), 0.5) if place % 2 else None})
        for place, one in enumerate(predictions(table(40)))
    ]
    store.log_predictions(records)
    reference = pd.DataFrame(
        {
            "predicted.label": ["yes", "no"],
            "probability.label": [0.9, 0.8],
            "predicted.other": [1.0, 2.0],
            "truth.label": ["yes", "yes"],
            "embedding.0": [0.0, 1.0],
            "embedding.1": [0.0, 1.0],
        }
    )
    found = read_window(store, "clinic", 1, Span(), table(1), outputs=reference).outputs
    assert found is not None
    assert list(found.columns) == [name for name in reference.columns if name != "truth.label"]
    assert set(found["predicted.label"]) == {"yes"}
    assert set(found["probability.label"]) == {0.9}
    assert found["predicted.other"].isna().all()
    assert found["embedding.0"].dropna().tolist() == list(range(1, 40, 2))


@pytest.mark.parametrize("value", ["broken", [1, 2], {"a": 1}, None])
def test_what_is_no_number_is_missing_among_numbers(
    store: Store, predictions: Make, value: object
) -> None:
    rows = pd.DataFrame({"size": pd.Series([1.5, value] * 20, dtype="object")})
    store.log_predictions(predictions(rows))
    known = pd.DataFrame({"size": [0.0, 1.0]})
    found = read_window(store, "clinic", 1, Span(), known)
    assert found.frame["size"].isna().sum() == 20
    assert found.frame["size"].dtype == "float64"
