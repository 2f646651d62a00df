"""The replica's end of its links: one thread that reads, computes and answers.

What arrives while a batch is computed waits in the sockets and makes the next batch, so that the
model is never idle while somebody waits, and nobody waits for company.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from serving.model.backend import Predicted
from serving.model.predictor import Failure
from serving.requests.rows import Row
from serving.transport.link import GOING, Frames, frame, listen, pack_answer, unpack_request

READ_BYTES: Final = 1 << 20
SEND_SECONDS: Final = 2.0
log = logging.getLogger("ray.serve")

type Answer = Callable[[Sequence[Sequence[Row]]], Sequence[Predicted | Failure]]


@dataclass(slots=True, eq=False)
class _Caller:
    socket: socket.socket
    frames: Frames = field(default_factory=Frames)
    answers: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Request:
    caller: _Caller
    number: int
    until: float
    rows: Sequence[Row]


class LinkServer:
    """Answers all links of one replica.

    Args:
        answer: Answers several requests at once, in their order; called by one thread.
        most: How many rows a batch may have; a larger request is a batch of its own.
    """

    def __init__(self, answer: Answer, most: int) -> None:
        self._answer = answer
        self._most = most
        self._listener, self._path = listen()
        self._waiting: deque[_Request] = deque()
        self._callers: set[_Caller] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ear, self._voice = socket.socketpair()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._leaving = False
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)
        self._thread.start()

    @property
    def path(self) -> str:
        """Where it listens."""
        return str(self._path)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> None:
        """Tell the callers that this ends, answer what they still send, and wait for them to go."""
        self._voice.send(b"x")
        self._thread.join(timeout)
        self._voice.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            while not self._leaving or self._callers:
                self._read()
                if batch := self._next():
                    self._compute(batch)
        except Exception:
            log.exception("the links of this replica ended")
            raise
        finally:
            for caller in list(self._callers):
                self._drop(caller)
            self._selector.close()
            self._listener.close()
            self._ear.close()

    def _read(self) -> None:
        """Take all that has arrived; wait for something if nothing is to be done."""
        for key, _ in self._selector.select(0 if self._waiting else None):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._ear:
                self._leave()
            else:
                self._hear(key.data)

    def _accept(self) -> None:
        opened, _ = self._listener.accept()
        opened.settimeout(SEND_SECONDS)
        caller = _Caller(opened)
        self._callers.add(caller)
        self._selector.register(opened, selectors.EVENT_READ, caller)

    def _leave(self) -> None:
        self._ear.recv(16)
        self._leaving = True
        self._selector.unregister(self._ear)
        self._selector.unregister(self._listener)
        self._path.unlink(missing_ok=True)
        for caller in list(self._callers):
            caller.answers.append(frame(GOING))
            self._send(caller)

    def _hear(self, caller: _Caller) -> None:
        try:
            data = caller.socket.recv(READ_BYTES)
            if not data:
                self._drop(caller)
                return
            for number, body in caller.frames.feed(data):
                until, rows = unpack_request(body)
                self._waiting.append(_Request(caller, number, until, rows))
        except (OSError, ValueError):
            self._drop(caller)

    def _drop(self, caller: _Caller) -> None:
        """Forget a caller that has gone, with all that it asked."""
        if caller in self._callers:
            self._callers.remove(caller)
            self._selector.unregister(caller.socket)
            caller.socket.close()
        self._waiting = deque(item for item in self._waiting if item.caller is not caller)

    def _next(self) -> list[_Request]:
        """Take what waits and fits, without those for whom nobody waits any more."""
        batch: list[_Request] = []
        total = 0
        now = time.monotonic()
        while self._waiting:
            request = self._waiting[0]
            if request.until >= now:
                if batch and total + len(request.rows) > self._most:
                    break
                batch.append(request)
                total += len(request.rows)
            self._waiting.popleft()
        return batch

    def _compute(self, batch: Sequence[_Request]) -> None:
        try:
            answers = self._answer([request.rows for request in batch])
        except Exception as error:
            # The thread must live on, and each caller must hear of it.
            log.exception("a batch failed")
            answers = [Failure(type(error).__name__, by_its_rows=False)] * len(batch)
        for request, answer in zip(batch, answers, strict=True):
            request.caller.answers.append(frame(request.number, pack_answer(answer)))
        for caller in {id(request.caller): request.caller for request in batch}.values():
            self._send(caller)

    def _send(self, caller: _Caller) -> None:
        answers, caller.answers = caller.answers, []
        try:
            caller.socket.sendall(b"".join(answers))
        except OSError:
            self._drop(caller)
