"""Run a stage here, or in a worker of the Ray cluster (`modelyard.workers`)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydantic import JsonValue

from modelyard.errors import ComputeError
from modelyard.ray_access import is_local, ray_environment
from modelyard.runs import Run
from modelyard.settings import Settings
from modelyard.spec.models import ResourceSpec
from modelyard.stages import perform
from modelyard.workers import (
    LEADS,
    Tail,
    Worker,
    coordinator,
    coordinator_slot,
    outcome,
    slot,
    worker,
)
from modelyard.workspace import Workspace

NAMESPACE = "modelyard"
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
    with _cluster(workspace.settings):
        return _on_ray(stage, run, earlier, workspace)


def warm_up(settings: Settings) -> None:
    """Start a worker and let it import Ludwig, so that the first run need not wait for it."""
    if settings.ray_address is None:
        return
    with _cluster(settings), slot(ResourceSpec(), settings) as name:
        worker(name, ResourceSpec(), settings).__ray_call__.remote(_import_ludwig)


def _import_ludwig(_worker: Worker) -> None:
    import importlib

    importlib.import_module("ludwig.api")


@contextmanager
def _cluster(settings: Settings) -> Iterator[None]:
    """Join the cluster as a driver for as long as the stage takes."""
    address = settings.ray_address or ""
    _knock(address)
    if is_local(address):
        # Unsaid, Ray takes 127.0.0.1 for the outward address, where our cluster does not listen.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    for name, value in ray_environment(settings).items():
        os.environ.setdefault(name, value)
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
        message = f"no Ray cluster answers at {address}, or it asks for another token"
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

    wanted, settings = run.spec.resources, workspace.settings
    _refuse_the_impossible(wanted)
    leads = stage in LEADS
    with coordinator_slot(settings) if leads else slot(wanted, settings) as name:
        actor = coordinator(name) if leads else worker(name, wanted, settings)
        log_file = workspace.log_file(run.id)
        lines = Tail(log_file, log_file.stat().st_size if log_file.exists() else 0)
        pending = actor.perform.remote(
            stage, run.model_dump_json(), json.dumps(dict(earlier)), settings
        )
        return dict(outcome(pending, lambda: _repeat(lines)))


def _repeat(lines: Tail) -> None:
    """Repeat what the worker writes to the run's log."""
    for line in lines.new():
        log.info(line)


def _refuse_the_impossible(wanted: ResourceSpec) -> None:
    """Ray would wait for ever for what no node has."""
    import ray

    has = ray.cluster_resources()
    for resource, amount in (("CPU", wanted.cpus), ("GPU", wanted.gpus)):
        if amount > has.get(resource, 0):
            message = f"the spec asks for {amount:g} {resource}s and the cluster has {has.get(resource, 0):g}"
            raise ComputeError(message, hint=f"lower resources.{resource.lower()}s")
