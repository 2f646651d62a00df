"""Run a stage here, or on the Ray cluster.

On a cluster a stage runs in a detached, named actor that outlives its caller: it has Ludwig
imported already (10 CPU-seconds), goes on when the caller is killed, so that the retried caller
finds the work done, and is restarted by Ray when it is killed itself.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic import JsonValue

from modelyard.errors import ComputeError, ModelyardError
from modelyard.runs import Run
from modelyard.settings import Settings
from modelyard.spec.models import ResourceSpec
from modelyard.stages import perform
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

NAMESPACE = "modelyard"
FOLLOW_SECONDS = 0.2
LOOPBACK = ("127.", "localhost")
KNOCK_SECONDS = 5.0
log = logging.getLogger(__name__)


def run_stage(
    stage: str, run: Run, earlier: Mapping[str, JsonValue], workspace: Workspace
) -> dict[str, JsonValue]:
    """Run one stage on the Ray cluster of the settings, or in this process if there is none.

    Raises:
        ModelyardError: the stage refused or could not be done.
        ComputeError: the cluster cannot be reached, is too small, or lost the work.
    """
    if workspace.settings.ray_address is None:
        return perform(stage, run, earlier, workspace)
    with _cluster(workspace.settings.ray_address):
        return _on_ray(stage, run, earlier, workspace)


class Worker:
    """Runs stages, one at a time, in a process that keeps its imports."""

    def perform(
        self, stage: str, run: str, earlier: str, settings: Settings
    ) -> dict[str, JsonValue] | ModelyardError:
        """Run a stage; a refusal is returned, since only a lost process is to be retried."""
        import json

        try:
            return perform(
                stage, Run.model_validate_json(run), json.loads(earlier), Workspace(settings)
            )
        except ModelyardError as error:
            return error

    def pid(self) -> int:
        """The process that stages run in."""
        return os.getpid()


def warm_up(settings: Settings) -> None:
    """Start a worker and let it import Ludwig, so that the first run need not wait for it."""
    if settings.ray_address is None:
        return
    with _cluster(settings.ray_address), _slot(ResourceSpec(), settings) as name:
        _worker(name, ResourceSpec()).__ray_call__.remote(_import_ludwig)


def _import_ludwig(_worker: Worker) -> None:
    import importlib

    importlib.import_module("ludwig.api")


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Join the cluster as a driver for as long as the stage takes."""
    _knock(address)
    if address.startswith(LOOPBACK):
        # Unsaid, Ray takes 127.0.0.1 for the outward address, where our cluster does not listen.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            ignore_reinit_error=True,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        message = f"no Ray cluster answers at {address}"
        raise ComputeError(message, hint="start it with: make up") from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Refuse within seconds a cluster that is not there; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        message = f"no Ray cluster answers at {address}"
        raise ComputeError(message, hint="start it with: make up") from error


def _on_ray(
    stage: str, run: Run, earlier: Mapping[str, JsonValue], workspace: Workspace
) -> dict[str, JsonValue]:
    import json

    _refuse_the_impossible(run.spec.resources)
    with _slot(run.spec.resources, workspace.settings) as name:
        worker = _worker(name, run.spec.resources)
        log_file = workspace.log_file(run.id)
        start = log_file.stat().st_size if log_file.exists() else 0
        pending = worker.perform.remote(
            stage, run.model_dump_json(), json.dumps(dict(earlier)), workspace.settings
        )
        return _follow(pending, log_file, start)


def _refuse_the_impossible(wanted: ResourceSpec) -> None:
    """Ray would wait for ever for what no node has."""
    import ray

    has = ray.cluster_resources()
    for resource, amount in (("CPU", wanted.cpus), ("GPU", wanted.gpus)):
        if amount > has.get(resource, 0):
            message = f"the spec asks for {amount:g} {resource}s and the cluster has {has.get(resource, 0):g}"
            raise ComputeError(message, hint=f"lower resources.{resource.lower()}s")


@contextmanager
def _slot(wanted: ResourceSpec, settings: Settings) -> Iterator[str]:
    """Reserve one worker name for this caller; the lock goes with the process, however it ends."""
    import ray

    count = max(1, int(ray.cluster_resources().get("CPU", 1) // wanted.cpus))
    folder = settings.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"worker-{wanted.cpus:g}cpu-{wanted.gpus:g}gpu-{number}" for number in range(count)]
    for name in itertools.cycle(names):
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0 if count > 1 and name != names[-1] else 1)
        except Timeout:
            continue
        try:
            yield name
        finally:
            lock.release()
        return


def _worker(name: str, wanted: ResourceSpec) -> ActorHandle[Worker]:
    import ray

    _release_others(name, wanted)
    return (
        ray.remote(Worker)
        .options(
            name=name,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=3,
            num_cpus=wanted.cpus,
            num_gpus=wanted.gpus,
        )
        .remote()
    )


def _release_others(name: str, wanted: ResourceSpec) -> None:
    """Stop workers of another size if this one would not fit beside them; they are idle or retried."""
    import ray
    from ray.util import list_named_actors

    names = set(list_named_actors())
    if name in names or ray.available_resources().get("CPU", 0) >= wanted.cpus:
        return
    shape = name.rpartition("-")[0]
    for other in names:
        if other.startswith("worker-") and other.rpartition("-")[0] != shape:
            ray.kill(ray.get_actor(other), no_restart=True)


def _follow(pending: ObjectRef[Any], log_file: Path, start: int) -> dict[str, JsonValue]:
    """Wait for the worker, repeating meanwhile what it writes to the run's log."""
    import ray
    from ray.exceptions import RayError

    lines = _Tail(log_file, start)
    try:
        while not ray.wait([pending], timeout=FOLLOW_SECONDS)[0]:
            lines.repeat()
        lines.repeat()
        result = ray.get(pending)
    except RayError as error:
        message = "the Ray worker was lost, and its retries too"
        raise ComputeError(message, hint="see make logs for Ray's log") from error
    if isinstance(result, ModelyardError):
        raise result
    return dict(result)


class _Tail:
    """Repeats the new whole lines of a growing file to this process's log."""

    def __init__(self, file: Path, start: int) -> None:
        self._file = file
        self._position = start

    def repeat(self) -> None:
        if not self._file.exists():
            return
        with self._file.open("rb") as stream:
            stream.seek(self._position)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            log.info(line)
