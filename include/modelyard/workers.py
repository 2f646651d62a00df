"""The Ray cluster's workers: named, detached actors that outlive their callers.

A worker has Ludwig imported already (10 CPU-seconds), goes on when its caller is killed, so that
the retried caller finds the work done, and is restarted by Ray when it is killed itself. There are
as many of a size as the cluster has CPUs for; a caller reserves one by a file lock, which goes
with the caller's process, however that ends.

Coordinators lead searches and cross-validations: they reserve no CPU, so that all CPUs are left to
the trainings, which run in workers.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic import JsonValue

from modelyard.errors import ComputeError, ModelyardError
from modelyard.runs import Run, run_log
from modelyard.settings import Settings
from modelyard.spec.models import ResourceSpec
from modelyard.stages import perform
from modelyard.training.pool import Call, Say, Stopped
from modelyard.training.processes import guarded
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

FOLLOW_SECONDS = 0.2
SLOT_SECONDS = 1.0
COORDINATORS = 4
LEADS = frozenset({"tune", "cross_validate"})
NICENESS = 10
log = logging.getLogger(__name__)


class Worker:
    """Runs stages and trainings, one at a time, in a process that keeps its imports."""

    def __init__(self) -> None:
        # All Ray workers of the stack begin alike; a training yields to the versions that serve.
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))

    def perform(
        self, stage: str, run: str, earlier: str, settings: Settings
    ) -> dict[str, JsonValue] | ModelyardError:
        """Run a stage; a refusal is returned, since only a lost process is to be retried."""
        import json

        known = Run.model_validate_json(run)
        workspace = Workspace(settings)
        pool = ClusterPool(known, workspace) if stage in LEADS else None
        try:
            return perform(stage, known, json.loads(earlier), workspace, pool)
        except ModelyardError as error:
            return error

    def train(
        self, call: Call, said: Path, around: Callable[[], AbstractContextManager[None]]
    ) -> JsonValue | ModelyardError:
        """Run a call of a pool; what it says goes to a file, line by line."""
        import json

        try:
            with around(), said.open("w", encoding="utf-8", buffering=1) as stream:
                done: JsonValue = guarded(call, lambda said: print(json.dumps(said), file=stream))
                return done
        except ModelyardError as error:
            return error

    def pid(self) -> int:
        """The process that stages run in."""
        return os.getpid()


class ClusterPool:
    """The cluster's workers as a pool; used inside a coordinator."""

    def __init__(self, run: Run, workspace: Workspace) -> None:
        self._run = run
        self._workspace = workspace
        self._stopped = threading.Event()

    @property
    def size(self) -> int:
        """As many as the cluster has CPUs for."""
        return _count(self._run.spec.resources)

    def run(self, call: Call, listen: Say) -> JsonValue:
        """Run a call in the next worker that is free."""
        wanted = self._run.spec.resources
        said = self._workspace.run_folder(self._run.id) / f"said-{uuid.uuid4().hex}.jsonl"
        around = partial(run_log, self._run.id, self._workspace)
        settings = self._workspace.settings
        with slot(wanted, settings, self._stopped) as name:
            pending = worker(name, wanted, settings).train.remote(call, said, around)
            try:
                done: JsonValue = self._follow(pending, Tail(said, 0), listen)
            finally:
                said.unlink(missing_ok=True)
            return done

    def stop(self) -> None:
        """Wait for no call any more; those that run come to their end unheard."""
        self._stopped.set()

    def _follow(self, pending: ObjectRef[Any], lines: Tail, listen: Say) -> Any:
        import json

        def repeat() -> None:
            if self._stopped.is_set():
                raise Stopped
            for line in lines.new():
                listen(json.loads(line))

        return outcome(pending, repeat)


def outcome(pending: ObjectRef[Any], meanwhile: Callable[[], None]) -> Any:
    """Wait for a worker's answer, doing something meanwhile; raise the refusal that it returned.

    Raises:
        ModelyardError: the worker's refusal.
        ComputeError: the worker was lost, and its retries too.
    """
    import ray
    from ray.exceptions import RayError

    try:
        while not ray.wait([pending], timeout=FOLLOW_SECONDS)[0]:
            meanwhile()
        meanwhile()
        result = ray.get(pending)
    except RayError as error:
        message = "the Ray worker was lost, and its retries too"
        raise ComputeError(message, hint="see make logs for Ray's log") from error
    if isinstance(result, ModelyardError):
        raise result
    return result


class Tail:
    """The new whole lines of a growing file."""

    def __init__(self, file: Path, start: int) -> None:
        self._file = file
        self._position = start

    def new(self) -> list[str]:
        """What was added since the last call; a file that was begun anew is read from its start."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size < self._position:
                self._position = 0
            stream.seek(self._position)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.decode(errors="replace").splitlines()


@contextmanager
def slot(
    wanted: ResourceSpec, settings: Settings, stopped: threading.Event | None = None
) -> Iterator[str]:
    """Reserve one worker of a size for this caller."""
    size = f"worker-{wanted.cpus:g}cpu-{wanted.gpus:g}gpu"
    names = [f"{size}-{number}" for number in range(_count(wanted))]
    with _reserved(names, settings, stopped) as name:
        yield name


@contextmanager
def coordinator_slot(settings: Settings) -> Iterator[str]:
    """Reserve one coordinator for this caller."""
    names = [f"coordinator-{number}" for number in range(COORDINATORS)]
    with _reserved(names, settings, None) as name:
        yield name


@contextmanager
def _reserved(
    names: list[str], settings: Settings, stopped: threading.Event | None
) -> Iterator[str]:
    """Wait for the lock of one of the names."""
    folder = settings.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    for name in itertools.cycle(names):
        if stopped is not None and stopped.is_set():
            raise Stopped
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0 if len(names) > 1 and name != names[-1] else SLOT_SECONDS)
        except Timeout:
            continue
        try:
            yield name
        finally:
            lock.release()
        return


def _count(wanted: ResourceSpec) -> int:
    """How many workers of a size the cluster has CPUs for."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1) // wanted.cpus))


def worker(name: str, wanted: ResourceSpec, settings: Settings) -> ActorHandle[Worker]:
    """The worker of this name, started if there is none; the caller holds its slot."""
    _make_room(name, wanted, settings)
    return _actor(name, wanted.cpus, wanted.gpus)


def coordinator(name: str) -> ActorHandle[Worker]:
    """The coordinator of this name, started if there is none."""
    return _actor(name, 0, 0)


def _actor(name: str, cpus: float, gpus: float) -> ActorHandle[Worker]:
    import ray

    return (
        ray.remote(Worker)
        .options(
            name=name,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=3,
            num_cpus=cpus,
            num_gpus=gpus,
        )
        .remote()
    )


def _make_room(name: str, wanted: ResourceSpec, settings: Settings) -> None:
    """Stop idle workers of another size until this one fits beside them; wait for busy ones."""
    import ray

    while name not in _alive():
        free = ray.available_resources().get("CPU", 0)
        others = [n for n in _alive() if n.startswith("worker-") and _size(n) != _size(name)]
        for other in others:
            if free < wanted.cpus and _stop_if_idle(other, settings):
                free += float(_size(other).removeprefix("worker-").partition("cpu")[0])
        if free >= wanted.cpus or not others:
            return


def _alive() -> list[str]:
    from ray.util import list_named_actors

    return list(list_named_actors())


def _size(name: str) -> str:
    return name.rpartition("-")[0]


def _stop_if_idle(name: str, settings: Settings) -> bool:
    import ray

    try:
        with FileLock(settings.home / "locks" / f"{name}.lock").acquire(timeout=SLOT_SECONDS):
            ray.kill(ray.get_actor(name), no_restart=True)
    except Timeout:
        return False
    except ValueError:  # it is gone already
        return True
    return True
