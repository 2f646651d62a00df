"""The stack's processes, found by the mark in their environment, so that none is ever missed.

A mark is inherited by every child, survives when the child leaves its parent or process group,
and names one stack only; a name or a pid file does none of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import psutil

STACK = "MODELYARD_STACK"
SERVICE = "MODELYARD_SERVICE"
KILL_SECONDS = 5.0


def members(stack: str, service: str | None = None) -> list[psutil.Process]:
    """Find all living processes of a stack or of one of its services, save the caller's own line."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in own and _marked(process, stack, service)
    ]


def _marked(process: psutil.Process, stack: str, service: str | None) -> bool:
    try:
        environment = process.environ()
        alive = process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False
    of_service = service is None or environment.get(SERVICE) == service
    return alive and environment.get(STACK) == stack and of_service


def service_of(process: psutil.Process) -> str | None:
    """Name the service that a process belongs to."""
    try:
        return process.environ().get(SERVICE)
    except (psutil.Error, OSError):
        return None


def end(processes: Iterable[psutil.Process], grace: float) -> int:
    """Ask processes to end, kill what is left after `grace` seconds; return how many were there."""
    found = list(processes)
    for process in found:
        _signal(process, kill=False)
    _, left = psutil.wait_procs(found, timeout=grace)
    for process in left:
        _signal(process, kill=True)
    psutil.wait_procs(left, timeout=KILL_SECONDS)
    return len(found)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return


def memory(processes: Iterable[psutil.Process]) -> int:
    """Add up resident memory in bytes; pages shared between processes count for each."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def open_sockets(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    """List the addresses that processes listen on."""
    found: set[tuple[str, int]] = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        found |= {
            (connection.laddr.ip, connection.laddr.port)
            for connection in connections
            if connection.status == psutil.CONN_LISTEN
        }
    return found
