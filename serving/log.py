"""Keep every prediction without slowing an answer: a bounded queue and one writing thread.

An answer only appends to the queue. The thread observes the inputs (an image becomes its measures
and hash), writes them to the database in batches and profiles them. While the database does not
answer the queue holds what it can; what it cannot hold is counted as dropped, never lost silently.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from pydantic import JsonValue

from modelyard.errors import ModelyardError
from modelyard.store.records import PredictionRecord
from serving.outputs import Output
from serving.rows import Row

MOST_ROWS: Final = 20_000
MOST_BYTES: Final = 128 * 1024 * 1024
BATCH_ROWS: Final = 500
INTERVAL_SECONDS: Final = 0.25
LONGEST_LIST: Final = 256
RETRY_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 8.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered row, as it stands in the queue."""

    id: str
    at: datetime
    request: str
    model: str
    version: int
    run: str | None
    features: Sequence[tuple[str, str]]
    row: Row
    output: Output
    milliseconds: float

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        answers = (output.get("prediction") for output in self.output.values())
        held = [value for value in (*self.row.values(), *answers) if isinstance(value, bytes | str)]
        return 500 + sum(map(len, held))


class Sink(Protocol):
    """Where predictions are kept; called from the writing thread only."""

    def observe(self, entry: Entry) -> dict[str, JsonValue]:
        """Measure one row's inputs."""
        ...

    def write(self, records: Sequence[PredictionRecord]) -> None:
        """Keep records; raise ModelyardError to be asked again with the same ones."""
        ...

    def rest(self) -> None:
        """Use a moment without predictions."""
        ...

    def close(self) -> None:
        """Finish what is not yet written."""
        ...


@dataclass(frozen=True, slots=True)
class LogState:
    """What became of the predictions so far."""

    queued: int
    written: int
    dropped: int
    failing: str | None


class PredictionLog:
    """The queue and its thread; `add` never waits and never raises."""

    def __init__(
        self, sink: Sink, *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._sink = sink
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._pending = 0
        self._written = 0
        self._dropped = 0
        self._failing: str | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()
        # A replica that is told to end without a graceful stop still comes through here.
        atexit.register(self.close)

    def add(self, entries: Sequence[Entry]) -> None:
        """Queue answered rows, or count them as dropped if there is no room."""
        size = sum(entry.size for entry in entries)
        with self._lock:
            full = len(self._queue) + self._pending + len(entries) > self._most_rows
            if full or self._bytes + size > self._most_bytes or self._closing.is_set():
                self._dropped += len(entries)
                return
            self._queue.extend(entries)
            self._bytes += size
            enough = len(self._queue) >= BATCH_ROWS
        if enough:
            self._wake.set()

    @property
    def state(self) -> LogState:
        """Figures for /health."""
        with self._lock:
            queued = len(self._queue) + self._pending
            return LogState(queued, self._written, self._dropped, self._failing)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what is queued and end the thread; count what could not be written in time."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        atexit.unregister(self.close)
        state = self.state
        if lost := state.queued + state.dropped:
            log.error(
                "%d predictions were not logged: %s", lost, state.failing or "no room or time"
            )

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(INTERVAL_SECONDS)
            self._wake.clear()
            self._drain()
            self._ask_sink(self._sink.rest)
        self._drain()
        self._ask_sink(self._sink.close)

    def _drain(self) -> None:
        while batch := self._take():
            self._keep(batch)

    @staticmethod
    def _ask_sink(ask: Callable[[], None]) -> None:
        try:
            ask()
        except Exception:
            # It is not about any prediction, and the thread must live on.
            log.exception("the prediction log failed beside its work")

    def _take(self) -> list[Entry]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(BATCH_ROWS, len(self._queue)))]
            self._bytes -= sum(entry.size for entry in batch)
            self._pending = len(batch)
        return batch

    def _keep(self, batch: Sequence[Entry]) -> None:
        records = [record for entry in batch if (record := self._record(entry)) is not None]
        written = len(records) if self._write(records) else 0
        with self._lock:
            self._written += written
            self._dropped += len(batch) - written
            self._pending = 0

    def _record(self, entry: Entry) -> PredictionRecord | None:
        try:
            return _record(entry, self._sink.observe(entry))
        except Exception:
            # One row that cannot be observed must not stop the thread that logs all others.
            log.exception("prediction %s cannot be logged", entry.id)
            return None

    def _write(self, records: Sequence[PredictionRecord]) -> bool:
        """Ask the sink until it takes them, or the log is closing; return whether it did."""
        wait = INTERVAL_SECONDS
        while True:
            try:
                self._sink.write(records)
            except ModelyardError as error:
                if self._failing is None:
                    log.warning("predictions wait for the database: %s", error)
                self._failing = str(error)
            except Exception:
                # Nobody foresaw this one, so it may never end; those after it shall not wait.
                log.exception("%d predictions cannot be logged", len(records))
                return False
            else:
                self._failing = None
                return True
            if self._closing.wait(wait):
                return False
            wait = min(2 * wait, RETRY_SECONDS)


def _record(entry: Entry, inputs: dict[str, JsonValue]) -> PredictionRecord:
    return PredictionRecord(
        id=entry.id,
        at=entry.at,
        model=entry.model,
        version=entry.version,
        request=entry.request,
        inputs=inputs,
        outputs={name: _brief(output) for name, output in entry.output.items()},
        probability=_probabilities(entry.output),
        latency_ms=entry.milliseconds,
        run=entry.run,
    )


def _brief(output: Mapping[str, JsonValue]) -> JsonValue:
    """A mask is for the caller and not for the database, which keeps the share of its foreground."""
    if "share" in output:
        return output["share"]
    value = output.get("prediction")
    return None if isinstance(value, list) and len(value) > LONGEST_LIST else value


def _probabilities(output: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, float]:
    return {
        name: float(found)
        for name, parts in output.items()
        if isinstance(found := parts.get("probability"), int | float)
    }
