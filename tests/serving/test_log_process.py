"""Writing happens in another process, which keeps what it was given whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from modelyard.errors import StoreError
from modelyard.settings import get_settings
from modelyard.store.database import Store, open_store
from serving.prediction_log.log import Batch, PredictionLog
from serving.prediction_log.log_process import ProcessSink, kept
from serving.prediction_log.sink import StoreSink
from tests.serving.test_log import entry

PARENT = """
import os, signal
from serving.prediction_log.log import Batch
from serving.prediction_log.log_process import ProcessSink, kept
from serving.prediction_log.sink import StoreSink
from tests.serving.test_log import entry
ProcessSink()._started().send(Batch([entry(number) for number in range(500, 1000)]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELYARD_HOME", str(folder))
        get_settings.cache_clear()
        yield folder
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{home / 'modelyard.db'}") as opened:
        yield opened


@pytest.fixture(scope="module")
def sink(home: Path) -> Iterator[ProcessSink]:
    """One writer for all tests, since it takes a second to start; it is killed, not closed."""
    assert home.is_dir()
    made = ProcessSink()
    yield made
    kill(made)
    made.close()


def kill(sink: ProcessSink) -> None:
    assert sink._process is not None
    os.kill(sink._process.pid, signal.SIGKILL)
    sink._process.wait(10)


def numbers(store: Store) -> set[int]:
    return {int(record.id, 16) for record in store.predictions("flowers", last=None)}


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


def test_what_is_logged_is_written_by_another_process(store: Store, sink: ProcessSink) -> None:
    log = PredictionLog(sink)
    log.add([entry(number) for number in range(10)])
    eventually(lambda: log.state.written == 10)
    assert numbers(store) >= set(range(10))
    assert not log.state.queued


def test_a_row_that_cannot_be_observed_is_counted(store: Store, sink: ProcessSink) -> None:
    broken = replace(entry(21), features=[("length", "number", "too many")])  # type: ignore[list-item]
    assert sink.keep(Batch([entry(20), broken])) == 1
    assert 20 in numbers(store)
    assert 21 not in numbers(store)


def test_a_writer_that_is_killed_is_started_again_and_nothing_is_lost(
    store: Store, sink: ProcessSink
) -> None:
    assert sink.keep(Batch([entry(30)])) == 0
    kill(sink)
    with pytest.raises(StoreError, match="ended"):
        sink.keep(Batch([entry(31)]))
    assert sink.keep(Batch([entry(31)])) == 0
    assert numbers(store) >= {30, 31}


def test_what_the_writer_has_is_kept_when_the_endpoint_is_killed(home: Path, store: Store) -> None:
    done = subprocess.run([sys.executable, "-c", PARENT], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert home.exists()
    eventually(lambda: numbers(store) >= set(range(500, 1000)))


class Failing:
    """A sink whose database is away, or that is broken."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def keep(self, _batch: Batch) -> int:
        raise self.fault


def test_a_database_that_is_away_is_told_in_its_words_and_any_other_fault_drops_the_batch() -> None:
    away, broken = Failing(StoreError("no database")), Failing(ZeroDivisionError())
    assert kept(cast("StoreSink", away), Batch([entry(1)])) == "no database"
    assert kept(cast("StoreSink", broken), Batch([entry(1), entry(2)])) == 2
