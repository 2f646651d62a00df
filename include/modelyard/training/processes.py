"""A process that runs calls one after another and keeps its imports between them."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from pydantic import JsonValue

from modelyard.errors import ComputeError, ModelyardError

SAID, RETURNED, RAISED = "said", "returned", "raised"
SECONDS_TO_END = 5.0
log = logging.getLogger(__name__)


class ProcessDied(Exception):  # noqa: N818 - reads as what happened
    """The process ended in the middle of a call."""


class Process:
    """A spawned process at the other end of a pipe."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(other_end,), daemon=True)
        self._process.start()
        other_end.close()
        self._busy = threading.Lock()
        self.ended = False

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def run(
        self,
        call: Callable[[Any], Any],
        around: Callable[[], AbstractContextManager[None]],
        listen: Callable[[Any], None],
    ) -> JsonValue:
        """Run a call there; what it says is handed to `listen`, what it raises is raised.

        Raises:
            ProcessDied: the process ended meanwhile.
        """
        with self._busy:
            self._send((call, around))
            while True:
                kind, content = self._receive()
                if kind == RETURNED:
                    result: JsonValue = content
                    return result
                if kind == RAISED:
                    raise content
                self._tell(content, listen)

    @property
    def alive(self) -> bool:
        """Whether it can run another call."""
        return self._process.is_alive() and not self._pipe.closed

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise ProcessDied from error

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ProcessDied from error

    def _tell(self, message: Any, listen: Callable[[Any], None]) -> None:
        """Hand on what the call says; where nobody wants to hear more, end it."""
        try:
            listen(message)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process, whatever it does; an idle one may clean up after itself."""
        self.ended = True
        if self._busy.acquire(blocking=False):
            self._pipe.close()
            self._process.join(SECONDS_TO_END)
            self._busy.release()
        for end in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                end()
                self._process.join(SECONDS_TO_END)
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    """Run what comes through the pipe until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    signal.signal(signal.SIGTERM, _leave)
    while True:
        try:
            call, around = pipe.recv()
        except (EOFError, OSError):
            return
        outcome = _outcome(call, around, pipe)
        try:
            pipe.send(outcome)
        except OSError:  # the parent is gone, or has ended this call
            return


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit in good order, so that the libraries' semaphores are given back."""
    del frame
    sys.exit(128 + number)


def _outcome(
    call: Callable[[Any], Any],
    around: Callable[[], AbstractContextManager[None]],
    pipe: Connection,
) -> tuple[str, Any]:
    try:
        with around():
            return RETURNED, guarded(call, lambda message: pipe.send((SAID, message)))
    except ModelyardError as error:
        return RAISED, error


def guarded(call: Callable[[Any], Any], say: Callable[[Any], None]) -> Any:
    """Run a call; what nobody foresaw becomes an error of ours, and the log has the traceback."""
    try:
        return call(say)
    except (ModelyardError, ConnectionError):
        raise
    except Exception as error:
        log.exception("a training failed unexpectedly")
        message = f"a training failed unexpectedly: {type(error).__name__}: {error}"
        raise ComputeError(message, hint="the run's log has the traceback") from error
