"""What goes into the prediction log comes out of it, in order, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from modelyard.store.database import Store
from modelyard.store.predictions import Span
from modelyard.store.records import Label, PredictionRecord

type Make = Callable[..., PredictionRecord]


def test_a_prediction_comes_back_as_it_went_in(store: Store, record: Make) -> None:
    inputs = {"text": "naïve 日本 \U0001f600", "n": 3, "f": 0.1, "yes": True, "none": None}
    sent = record(1, inputs=inputs, run="run-1", latency_ms=0.123456789)
    store.log_predictions([sent])
    assert store.prediction(sent.id) == sent


def test_an_unknown_id_is_none(store: Store) -> None:
    assert store.prediction("nobody") is None


def test_times_are_utc_whatever_zone_they_came_in(store: Store, record: Make) -> None:
    tokyo = datetime(2026, 11, 1, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    store.log_predictions([record(1, at=tokyo)])
    found = store.prediction("p000001")
    assert found is not None
    assert found.at == tokyo
    assert found.at.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(record: Make) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        record(1, at=datetime(2026, 11, 1))  # noqa: DTZ001 - that is what must be refused


def test_the_newest_come_first(store: Store, record: Make) -> None:
    store.log_predictions([record(number) for number in (2, 5, 1, 4, 3)])
    found = store.predictions("digits-cnn", last=3)
    assert [one.id for one in found] == ["p000005", "p000004", "p000003"]


def test_predictions_of_one_moment_have_a_fixed_order(store: Store, record: Make) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    store.log_predictions([record(number, at=moment) for number in (3, 1, 2)])
    found = store.predictions("digits-cnn", last=2)
    assert [one.id for one in found] == ["p000003", "p000002"]


def test_models_and_versions_are_kept_apart(store: Store, record: Make) -> None:
    store.log_predictions([record(1), record(2, version=2), record(3, model="other")])
    assert [one.id for one in store.predictions("digits-cnn", last=None)] == ["p000002", "p000001"]
    assert [one.id for one in store.predictions("digits-cnn", last=9, version=1)] == ["p000001"]


def test_logging_a_batch_again_changes_nothing(store: Store, record: Make) -> None:
    store.log_predictions([record(1), record(2)])
    store.log_predictions([record(2, latency_ms=99.0), record(3), record(3)])
    assert [one.latency_ms for one in store.predictions("digits-cnn", last=None)] == [1.5] * 3


def test_an_empty_batch_is_nothing(store: Store) -> None:
    store.log_predictions([])
    assert store.predictions("digits-cnn", last=None) == []


def test_batches_are_the_same_rows_in_pieces(store: Store, record: Make) -> None:
    store.log_predictions([record(number) for number in range(25)])
    pieces = list(store.prediction_batches("digits-cnn", last=23, size=10))
    assert [len(piece) for piece in pieces] == [10, 10, 3]
    assert [one for piece in pieces for one in piece] == store.predictions("digits-cnn", last=23)


def test_what_json_cannot_say_does_not_lose_the_batch(store: Store, record: Make) -> None:
    strange = {"nan": float("nan"), "inf": float("-inf"), "nul": "a\x00b", "big": 2**70}
    store.log_predictions([record(1, inputs=strange), record(2)])
    found = store.prediction("p000001")
    assert found is not None
    assert found.inputs == {"nan": None, "inf": None, "nul": "a\ufffdb", "big": float(2**70)}


def test_a_backslash_is_no_nul(store: Store, record: Make) -> None:
    store.log_predictions([record(1, inputs={"text": "\\u0000"})])
    found = store.prediction("p000001")
    assert found is not None
    assert found.inputs == {"text": "\\u0000"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@given(inputs=st.dictionaries(st.text(max_size=8), SCALARS, max_size=4))
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_observation_can_be_logged_and_read(
    store: Store, record: Make, inputs: dict[str, object]
) -> None:
    unique = f"h{abs(hash(repr(sorted(inputs.items()))))}"
    store.log_predictions([record(1, id=unique, inputs=inputs)])
    assert store.prediction(unique) is not None


def test_writers_in_many_threads_lose_nothing(store: Store, record: Make) -> None:
    batches = [[record(100 * who + each) for each in range(100)] for who in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.log_predictions, [*batches, *reversed(batches)]))
    assert len(store.predictions("digits-cnn", last=None)) == 800


def test_ten_thousand_predictions_are_kept_in_seconds(
    store: Store, record: Make, record_property: Callable[[str, object], None]
) -> None:
    records = [record(number) for number in range(10_000)]
    begun = time.perf_counter()
    store.log_predictions(records)
    written = time.perf_counter()
    found = store.predictions("digits-cnn", last=10_000)
    read = time.perf_counter() - written
    record_property("seconds to write 10,000 rows", round(written - begun, 3))
    record_property("seconds to read 10,000 rows", round(read, 3))
    assert found == records[::-1]
    assert written - begun < 10  # 0.2 s on an idle machine; an insert a row would take minutes


def test_a_window_in_time_and_its_labels_are_read_without_records(
    store: Store, record: Make
) -> None:
    store.log_predictions([record(number, embedding=(0.5, 1.0)) for number in range(10)])
    store.log_predictions([record(20, version=2)])
    since = Span(since=record(3).at, until=record(5).at)
    (batch,) = store.seen("digits-cnn", 1, since)
    assert [one.id for one in batch] == ["p000005", "p000004", "p000003"]
    assert batch[0].embedding == [0.5, 1.0]
    assert store.count_predictions("digits-cnn", 1, since) == 3
    labels = [Label(prediction=f"p00000{number}", output="label", value="7") for number in (1, 4)]
    store.save_labels("digits-cnn", labels)
    (known,) = store.labelled("digits-cnn", 1, Span(last=1))
    assert [(one.id, one.truth) for one in known] == [("p000004", {"label": "7"})]
