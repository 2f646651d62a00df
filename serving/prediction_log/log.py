"""Keep every prediction without slowing an answer: a bounded queue and one sending thread.

An answer only appends to the queue. The thread hands batches to the sink, which observes the inputs
(an image becomes its measures and hash) and writes them. While the database does not answer the
queue holds what it can; what it cannot hold is counted as dropped, never lost silently.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol

from modelyard.errors import ModelyardError
from serving.model.outputs import Output
from serving.requests.rows import Row

if TYPE_CHECKING:
    from modelyard.store.records import ShadowRecord

MOST_ROWS: Final = 20_000
MOST_BYTES: Final = 128 * 1024 * 1024
MOST_TALLIES: Final = 10_000
BATCH_ROWS: Final = 500
INTERVAL_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 8.0
SETTLE_SECONDS: Final = 2.0
SETTLE_POLL_SECONDS: Final = 0.02
SHADOW_BYTES: Final = 1000
MOST_SIGNATURES: Final = 64
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
    experiment: str | None = None
    phase: str | None = None
    fallback_from: int | None = None
    client: str | None = None
    embedding: bytes | None = None
    files: str | None = None
    """Where the version's files lie for the replica that answered."""

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        held = 500
        for value in self._of_any_size():
            if isinstance(value, bytes | str):
                held += len(value)
        for output in self.output.values():
            value = output.get("prediction")
            if isinstance(value, str):
                held += len(value)
        return held

    def _of_any_size(self) -> Iterable[object]:
        """The values that are no numbers, by what the features say: most rows have none."""
        if len(self.row) != len(self.features):
            return self.row.values()
        known = _of_any_size.get(id(self.features))
        if known is None or known[0] is not self.features:
            if len(_of_any_size) >= MOST_SIGNATURES:
                _of_any_size.clear()
            names = [name for name, kind, *_ in self.features if kind != "number"]
            known = _of_any_size[id(self.features)] = (self.features, names)
        row = self.row
        return [row.get(name) for name in known[1]]

    def __reduce__(self) -> tuple[type[Entry], tuple[object, ...]]:
        # A dataclass with slots is pickled field by field in Python, which costs the endpoint more
        # than to answer from memory does.
        return Entry, _PARTS(self)


# By identity, for a variant's features are one list that lives as long as it is served.
_of_any_size: dict[int, tuple[Sequence[tuple[str, str]], list[str]]] = {}
_PARTS: Final[Callable[[Entry], tuple[object, ...]]] = attrgetter(
    *(field.name for field in fields(Entry))
)


class Counted(Protocol):
    """Outcomes of one kind that were counted; `modelyard.store.records.Tally` is one."""

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    @property
    def version(self) -> int:
        """The version whose outcomes these are."""
        ...

    @property
    def phase(self) -> str:
        """The phase of the traffic in which they were."""
        ...

    @property
    def measure(self) -> str:
        """What was counted."""
        ...

    @property
    def trials(self) -> int:
        """How many there were."""
        ...

    @property
    def hits(self) -> int:
        """How many of them were what the measure is named for."""
        ...


type TallyKey = tuple[str, int, str, str]
"""Model, version, phase, measure."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is kept together: predictions, shadow answers, and counts to add up."""

    entries: Sequence[Entry]
    shadows: Sequence[ShadowRecord] = ()
    tallies: Sequence[tuple[TallyKey, int, int]] = ()

    @property
    def rows(self) -> int:
        """How many predictions and shadow answers it holds."""
        return len(self.entries) + len(self.shadows)


class Sink(Protocol):
    """Where predictions are kept; called from the sending thread only."""

    def keep(self, batch: Batch) -> int:
        """Keep a batch and return how many of its predictions cannot be kept, ever.

        Raises:
            ModelyardError: not now; the same batch is given again.
        """
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
    waiting_s: float = 0.0
    """For how many seconds the oldest that is not written has waited."""


class PredictionLog:
    """The queue and its thread; `add`, `shadow` and `tally` never wait and never raise."""

    def __init__(
        self, sink: Sink, *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._sink = sink
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._queue: deque[Entry | ShadowRecord] = deque()
        self._tallies: dict[TallyKey, tuple[int, int]] = {}
        self._unsettled: set[str] = set()
        self._bytes = 0
        self._pending = 0
        self._pending_at: datetime | None = None
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
        self._queue_up(entries, sum(entry.size for entry in entries))

    def shadow(self, record: ShadowRecord) -> None:
        """Queue a shadow answer, or count it as dropped if there is no room."""
        self._queue_up((record,), SHADOW_BYTES)

    def tally(self, counted: Counted) -> None:
        """Add counts to what is written with the next batch."""
        key = (counted.model, counted.version, counted.phase, counted.measure)
        with self._lock:
            trials, hits = self._tallies.get(key, (0, 0))
            if key in self._tallies or len(self._tallies) < MOST_TALLIES:
                self._tallies[key] = (trials + counted.trials, hits + counted.hits)

    async def settled(self, predictions: Iterable[str]) -> bool:
        """Wait until these predictions are no longer queued; return whether that came in time."""
        waiting = set(predictions)
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while not self._unsettled.isdisjoint(waiting):
            if asyncio.get_running_loop().time() > deadline:
                return False
            self._wake.set()
            await asyncio.sleep(SETTLE_POLL_SECONDS)
        return True

    @property
    def state(self) -> LogState:
        """Figures for /health."""
        with self._lock:
            queued = len(self._queue) + self._pending
            oldest = self._pending_at or (self._queue[0].at if self._queue else None)
            waiting = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
            return LogState(
                queued, self._written, self._dropped, self._failing, max(0.0, round(waiting, 1))
            )

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

    def _queue_up(self, items: Sequence[Entry] | Sequence[ShadowRecord], size: int) -> None:
        with self._lock:
            full = len(self._queue) + self._pending + len(items) > self._most_rows
            if full or self._bytes + size > self._most_bytes or self._closing.is_set():
                self._dropped += len(items)
                return
            self._queue.extend(items)
            self._bytes += size
            self._unsettled.update([item.id for item in items if isinstance(item, Entry)])
            enough = len(self._queue) >= BATCH_ROWS
        if enough:
            self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(INTERVAL_SECONDS)
            self._wake.clear()
            self._drain()
            self._ask_sink(self._sink.rest)
        self._drain()
        self._ask_sink(self._sink.close)

    def _drain(self) -> None:
        while (batch := self._take()).rows or batch.tallies:
            self._keep(batch)

    @staticmethod
    def _ask_sink(ask: Callable[[], None]) -> None:
        try:
            ask()
        except Exception:
            # It is not about any prediction, and the thread must live on.
            log.exception("the prediction log failed beside its work")

    def _take(self) -> Batch:
        with self._lock:
            taken = [self._queue.popleft() for _ in range(min(BATCH_ROWS, len(self._queue)))]
            self._pending = len(taken)
            self._pending_at = taken[0].at if taken else None
            tallies, self._tallies = self._tallies, {}
        return Batch(
            entries=[item for item in taken if isinstance(item, Entry)],
            shadows=[item for item in taken if not isinstance(item, Entry)],
            tallies=[(key, trials, hits) for key, (trials, hits) in tallies.items()],
        )

    def _keep(self, batch: Batch) -> None:
        written = self._write(batch)
        size = sum(entry.size for entry in batch.entries) + SHADOW_BYTES * len(batch.shadows)
        with self._lock:
            self._written += written
            self._dropped += batch.rows - written
            self._pending, self._pending_at = 0, None
            # They hold their memory until they are written, so they count until then.
            self._bytes -= size
            self._unsettled.difference_update([entry.id for entry in batch.entries])

    def _write(self, batch: Batch) -> int:
        """Ask the sink until it takes the batch, or the log is closing; return how many it took."""
        wait = INTERVAL_SECONDS
        while True:
            try:
                refused = self._sink.keep(batch)
            except ModelyardError as error:
                if self._failing is None:
                    log.warning("predictions wait for the database: %s", error)
                self._failing = str(error)
            except Exception:
                # Nobody foresaw this one, so it may never end; those after it shall not wait.
                log.exception("%d predictions cannot be logged", batch.rows)
                return 0
            else:
                self._failing = None
                return batch.rows - refused
            if self._closing.wait(wait):
                return 0
            wait = min(2 * wait, RETRY_SECONDS)
