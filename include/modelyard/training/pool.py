"""Where the trainings of a search or of folds run: here, and in processes beside this one.

A pool runs calls; a call says things while it goes on (its epochs) and returns its outcome. The
stages run as many calls at once as the pool has places. `modelyard.compute` has the pool of a Ray
cluster's workers.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import math
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from modelyard.errors import ComputeError, ModelyardError
from modelyard.spec.models import ResourceSpec
from modelyard.training.engine import engine
from modelyard.training.processes import Process, ProcessDied

Say = Callable[[dict[str, JsonValue]], None]
"""Takes what a call tells of itself."""

Call = Callable[[Say], JsonValue]
"""What a pool runs; it can be pickled where the pool is of several processes."""

Around = Callable[[], AbstractContextManager[None]]
"""What a call in another process is wrapped in: the run's log."""

ATTEMPTS = 2
log = logging.getLogger(__name__)


class Pool(Protocol):
    """Runs calls, `size` of them at once, each asked for from a thread of its own."""

    @property
    def size(self) -> int:
        """How many calls can run at once."""

    def run(self, call: Call, listen: Say) -> JsonValue:
        """Run a call, wait for it, and hand on what it says.

        Raises:
            ModelyardError: the call's own.
            ComputeError: the place where it ran was lost, more than once.
        """

    def stop(self) -> None:
        """End the calls that run; those that wait are not begun."""


class Stopped(BaseException):
    """The pool was told to stop, so what was being done is not finished and has not failed."""


class LocalPool:
    """This process and `size - 1` others, which join in when they have imported Ludwig.

    The first place is this process, which needs Ludwig anyway for what comes next; a search that
    is shorter than the others' imports does not wait for them. They stay for the next pool.
    """

    def __init__(
        self, size: int = 1, around: Around = nullcontext, warm: Call | None = None
    ) -> None:
        self._size = size
        self._around = around
        self._stopped = threading.Event()
        self._free: queue.PriorityQueue[int] = queue.PriorityQueue()
        self._free.put(0)
        self._places = 1
        self._calls = 0
        self._lock = threading.Lock()
        self._warm = ImportLudwig(ResourceSpec()) if warm is None else warm

    @property
    def size(self) -> int:
        """How many calls can run at once."""
        return self._size

    def run(self, call: Call, listen: Say) -> JsonValue:
        """Run a call here or in a process beside this one."""
        with self._place() as place:
            if place == 0:
                return call(self._heard(listen))
            return self._elsewhere(place, call, self._heard(listen))

    def stop(self) -> None:
        """End the calls: those here when they next say something, the others at once."""
        self._stopped.set()
        for place in range(1, self._size):
            _end(place)

    @contextmanager
    def _place(self) -> Iterator[int]:
        self._let_another_join()
        place = self._free.get()
        try:
            self._go_on()
            yield place
        finally:
            self._free.put(place)
            with self._lock:
                self._calls -= 1

    def _let_another_join(self) -> None:
        """Start another process if there are more calls than places."""
        with self._lock:
            self._calls += 1
            if self._calls <= self._places or self._places == self._size:
                return
            place, self._places = self._places, self._places + 1
        threading.Thread(target=self._join, args=(place,), daemon=True).start()

    def _join(self, place: int) -> None:
        """Offer a process once it is ready; without it, the other places do the work."""
        process = _process(place)
        try:
            process.run(self._warm, self._around, lambda _: None)
        except (ProcessDied, ModelyardError) as error:
            if not process.ended:
                log.warning("a process for trainings did not start, so the others go on: %r", error)
            return
        self._free.put(place)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _heard(self, listen: Say) -> Say:
        def heard(message: dict[str, JsonValue]) -> None:
            self._go_on()
            listen(message)

        return heard

    def _elsewhere(self, place: int, call: Call, listen: Say) -> JsonValue:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _process(place).run(call, self._around, listen)
            except ProcessDied:
                _end(place)
                self._go_on()
                log.warning("a training's process died (attempt %d of %d)", attempt, ATTEMPTS)
        message = f"the process of a training died {ATTEMPTS} times"
        raise ComputeError(message, hint="is there enough memory? Try parallel: 1")


_processes: dict[int, Process] = {}
_lock = threading.Lock()


def _process(place: int) -> Process:
    """The process of this place, started at first use; it keeps its imports for the next pool."""
    with _lock:
        if place not in _processes or not _processes[place].alive:
            _processes[place] = Process()
        return _processes[place]


def _end(place: int) -> None:
    with _lock:
        process = _processes.pop(place, None)
    if process is not None:
        process.end()


@dataclass(frozen=True, slots=True)
class ImportLudwig:
    """What a new process does first; with the resources, since torch picks its device at import."""

    resources: ResourceSpec

    def __call__(self, say: Say) -> JsonValue:
        """Import it quietly."""
        del say
        with engine(self.resources, "import Ludwig"):
            importlib.import_module("ludwig.api")
        return None


def end_processes() -> None:
    """End the processes of all local pools."""
    for place in list(_processes):
        _end(place)


atexit.register(end_processes)


def room(resources: ResourceSpec) -> int:
    """How many trainings of this size the machine has CPUs for; those on one GPU share it."""
    cpus = len(os.sched_getaffinity(0)) // max(1, math.ceil(resources.cpus))
    if resources.gpus:
        cpus = min(cpus, int(1 / resources.gpus) if resources.gpus < 1 else 1)
    return max(1, cpus)


def side_by_side[T](pool: Pool, works: Sequence[Callable[[], T]], most: int | None) -> list[T]:
    """Do all works, as many at once as the pool has places and `most` allows; results in order.

    The first that raises ends the others. One at a time is done in this thread, so that Ctrl-C
    ends it at once; otherwise what trains in this process goes on to the end of its epoch.
    """
    at_once = max(1, min(pool.size, most or pool.size, len(works)))
    if at_once == 1:
        return [work() for work in works]
    threads = ThreadPoolExecutor(at_once, thread_name_prefix="training")
    futures = [threads.submit(work) for work in works]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        _raise_first(futures)
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        pool.stop()
        raise
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _raise_first[T](futures: Sequence[Future[T]]) -> None:
    """Raise what went wrong first, and not what was stopped because of it."""
    errors = [
        error
        for future in futures
        if future.done() and not future.cancelled() and (error := future.exception()) is not None
    ]
    for error in errors:
        if not isinstance(error, Stopped):
            raise error
    with contextlib.suppress(IndexError):
        raise errors[0]


__all__ = [
    "Around",
    "Call",
    "LocalPool",
    "ModelyardError",
    "Pool",
    "Say",
    "Stopped",
    "end_processes",
    "room",
    "side_by_side",
]
