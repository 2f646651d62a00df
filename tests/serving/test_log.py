"""The prediction log loses nothing silently and never holds an answer up."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import StoreError
from modelyard.store.database import open_store
from modelyard.store.records import ShadowRecord, Tally
from serving.prediction_log import log as log_module
from serving.prediction_log.log import BATCH_ROWS, Entry, PredictionLog
from tests.serving.fakes import MemorySink


def entry(number: int, length: float = 1.0, extra: object = None) -> Entry:
    return Entry(
        id=f"{number:032x}",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        request="r",
        model="flowers",
        version=3,
        run=None,
        features=[("length", "number")],
        row={"length": length, "extra": extra},
        output={"kind": {"prediction": "a", "probability": 0.5}},
        milliseconds=2.0,
    )


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


@pytest.fixture
def kept(sink: MemorySink) -> Iterator[PredictionLog]:
    log = PredictionLog(sink, most_rows=10)
    yield log
    sink.gate.set()
    sink.fault = None
    log.close()


def test_what_is_added_is_written_soon(kept: PredictionLog, sink: MemorySink) -> None:
    kept.add([entry(1), entry(2)])
    eventually(lambda: len(sink.records) == 2)
    eventually(lambda: kept.state.written == 2)
    assert kept.state.queued == 0


def test_closing_writes_what_is_queued(sink: MemorySink) -> None:
    log = PredictionLog(sink)
    log.add([entry(number) for number in range(2 * BATCH_ROWS + 1)])
    log.close()
    assert len(sink.records) == 2 * BATCH_ROWS + 1
    assert max(sink.batches) == BATCH_ROWS
    assert sink.closed


def test_adding_does_not_wait_for_a_slow_sink(kept: PredictionLog, sink: MemorySink) -> None:
    sink.gate.clear()
    kept.add([entry(1)])
    eventually(lambda: kept.state.queued == 1)
    begun = time.perf_counter()
    kept.add([entry(2)])
    assert time.perf_counter() - begun < 0.05


def test_what_has_no_room_is_counted_as_dropped(kept: PredictionLog, sink: MemorySink) -> None:
    sink.gate.clear()
    for number in range(15):
        kept.add([entry(number)])
    assert kept.state.queued == 10
    assert kept.state.dropped == 5
    sink.gate.set()
    eventually(lambda: len(sink.records) == 10)


def test_bytes_are_bounded_too(sink: MemorySink) -> None:
    log = PredictionLog(sink, most_bytes=10_000)
    sink.gate.clear()
    for number in range(5):
        log.add([entry(number, extra=b"x" * 4_000)])
    assert log.state.dropped >= 2
    sink.gate.set()
    log.close()
    assert len(sink.records) + log.state.dropped == 5


def test_while_the_database_is_away_predictions_wait_and_then_are_written_once(
    kept: PredictionLog, sink: MemorySink
) -> None:
    sink.fault = StoreError("no database")
    kept.add([entry(1)])
    eventually(lambda: kept.state.failing == "no database")
    assert kept.state.queued == 1
    sink.fault = None
    eventually(lambda: kept.state.written == 1)
    assert kept.state.failing is None
    assert len(sink.records) == 1


def test_closing_while_the_database_is_away_counts_what_is_lost(
    sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(sink)
    sink.fault = StoreError("no database")
    log.add([entry(number) for number in range(3)])
    log.close()
    assert log.state.dropped == 3
    assert "3 predictions were not logged" in caplog.text


def test_a_row_that_cannot_be_observed_does_not_stop_the_others(
    kept: PredictionLog, sink: MemorySink
) -> None:
    kept.add([entry(1), entry(2, length=-1.0), entry(3)])
    eventually(lambda: len(sink.records) == 2)
    eventually(lambda: kept.state.dropped == 1)


def test_a_fault_of_the_sink_does_not_end_the_log(kept: PredictionLog, sink: MemorySink) -> None:
    sink.fault = ZeroDivisionError()
    kept.add([entry(1)])
    eventually(lambda: kept.state.dropped == 1)
    sink.fault = None
    kept.add([entry(2)])
    eventually(lambda: len(sink.records) == 1)


def test_the_sink_gets_moments_of_rest_and_may_fail_in_them(
    kept: PredictionLog, sink: MemorySink
) -> None:
    sink.rest_fault = ZeroDivisionError()
    eventually(lambda: sink.rests >= 2)
    kept.add([entry(1)])
    eventually(lambda: len(sink.records) == 1)


def test_after_closing_nothing_is_taken(sink: MemorySink) -> None:
    log = PredictionLog(sink)
    log.close()
    log.add([entry(1)])
    assert log.state.dropped == 1


def test_a_mask_is_not_logged_with_all_its_pixels(sink: MemorySink) -> None:
    log = PredictionLog(sink)
    made = entry(1)
    log.add([Entry(**{**slots(made), "output": {"mask": {"prediction": [[0] * 99] * 300}}})])
    log.close()
    assert sink.records[0].outputs == {"mask": None}


def tally(trials: int, hits: int, measure: str = "slow") -> Tally:
    return Tally.model_validate(
        {
            "model": "flowers",
            "version": 3,
            "phase": "p1",
            "measure": measure,
            "trials": trials,
            "hits": hits,
        }
    )


def shadow(number: int) -> ShadowRecord:
    return ShadowRecord(
        prediction=f"{number:032x}",
        version=4,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        model="flowers",
        phase="p1",
        outputs={"kind": "a"},
        probability={"kind": 0.5},
        latency_ms=1.0,
        agrees=True,
    )


def test_counts_are_added_up_and_written_together(kept: PredictionLog, sink: MemorySink) -> None:
    for _ in range(10):
        kept.tally(tally(1, 0))
    kept.tally(tally(1, 1))
    kept.tally(tally(2, 2, "errors"))
    eventually(lambda: len(sink.tallies) == 2)
    assert sink.tallies["flowers", 3, "p1", "slow"] == (11, 1)
    assert sink.tallies["flowers", 3, "p1", "errors"] == (2, 2)


def test_counts_wait_for_the_database_and_are_not_counted_twice(
    kept: PredictionLog, sink: MemorySink
) -> None:
    sink.fault = StoreError("no database")
    kept.tally(tally(1, 1))
    eventually(lambda: kept.state.failing is not None)
    kept.tally(tally(1, 0))
    sink.fault = None
    eventually(lambda: sink.tallies.get(("flowers", 3, "p1", "slow")) == (2, 1))


def test_shadow_answers_are_kept_and_bounded_like_predictions(
    kept: PredictionLog, sink: MemorySink
) -> None:
    sink.gate.clear()
    for number in range(15):
        kept.shadow(shadow(number))
    assert (kept.state.queued, kept.state.dropped) == (10, 5)
    sink.gate.set()
    eventually(lambda: len(sink.shadows) == 10)


def test_who_labels_a_prediction_waits_until_it_is_written(
    kept: PredictionLog, sink: MemorySink
) -> None:
    sink.gate.clear()
    kept.add([entry(1), entry(2)])

    async def settle() -> bool:
        waiting = asyncio.create_task(kept.settled([entry(1).id, "unknown"]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        sink.gate.set()
        return await waiting

    assert asyncio.run(settle())
    assert entry(1).id in {record.id for record in sink.records}
    assert asyncio.run(kept.settled(["never seen"]))


def test_waiting_for_a_prediction_ends_if_the_database_is_away(
    kept: PredictionLog, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SETTLE_SECONDS", 0.05)
    sink.fault = StoreError("no database")
    kept.add([entry(1)])
    assert not asyncio.run(kept.settled([entry(1).id]))


def slots(made: Entry) -> dict[str, object]:
    return {name: getattr(made, name) for name in Entry.__slots__}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=40), max_size=20))
def test_every_row_is_written_or_counted(sizes: list[int]) -> None:
    sink = MemorySink()
    log = PredictionLog(sink, most_rows=100)
    for size in sizes:
        log.add([entry(number) for number in range(size)])
    log.close()
    assert len(sink.records) + log.state.dropped == sum(sizes)


PROCESS = """
import sys, time
from modelyard.settings import Settings
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.sink import StoreSink
from tests.serving.test_log import entry
log = PredictionLog(StoreSink(Settings()))
log.add([entry(number) for number in range(1200)])
print("added", flush=True)
{end}
"""


def test_a_process_that_exits_writes_what_is_queued(tmp_path: Path) -> None:
    assert rows_after(tmp_path, "sys.exit(1)") == 1200


def test_a_process_that_is_told_to_end_writes_what_is_queued(tmp_path: Path) -> None:
    end = "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)); print('ready', flush=True); time.sleep(60)"
    assert rows_after(tmp_path, end, stop=signal.SIGTERM) == 1200


def rows_after(home: Path, end: str, stop: signal.Signals | None = None) -> int:
    """Run a process with a full log, and return how many rows the real database has then."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS.format(end=end)],
        env={**os.environ, "MODELYARD_HOME": str(home)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as lines:
        assert lines.readline() == b"added\n"
        if stop is not None:
            assert lines.readline() == b"ready\n"
            process.send_signal(stop)
        process.wait(30)
    with open_store(f"sqlite:///{home / 'modelyard.db'}") as store:
        return len(store.predictions("flowers", last=None))


def test_an_entry_comes_through_a_pipe_as_it_was() -> None:
    made = replace(entry(1, extra=b"\x00"), embedding=b"1234", client="me", files="/models/1")
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - it was made here


@pytest.mark.parametrize("features", [3, 1])
def test_text_and_bytes_count_whatever_the_features_say(features: int) -> None:
    kinds = [("note", "text"), ("photo", "image"), ("length", "number")][:features]
    row = {"note": "x" * 100, "photo": b"y" * 1000, "length": 1.0}
    made = replace(entry(1), features=kinds, row=row)
    assert made.size - replace(made, row={**row, "note": "", "photo": None}).size == 1100
    other = replace(made, features=[(name, kind) for name, kind in kinds])
    assert other.size == made.size


def test_many_signatures_are_not_remembered_for_ever() -> None:
    rows = [replace(entry(1), features=[("length", "number")]) for _ in range(500)]
    sizes = {replace(one, row={"length": 1.0}).size for one in rows}
    assert len(sizes) == 1
    assert len(log_module._of_any_size) <= log_module.MOST_SIGNATURES
