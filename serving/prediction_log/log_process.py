"""The prediction log's writer as a process of its own, so that writing takes nothing from answers.

Observing a row and writing it cost more than answering it, and Python's threads share one core. The
endpoint hands batches over a socket and waits for each to be kept, so what the database does not
take waits in the endpoint's bounded queue. If the endpoint is killed the writer keeps what it has
got and ends; if the writer is killed the endpoint starts another and gives the same batch again.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Final

from modelyard.errors import ModelyardError, StoreError
from modelyard.settings import get_settings
from serving.prediction_log.log import Batch
from serving.prediction_log.sink import StoreSink

REST_SECONDS: Final = 1.0
GARBAGE: Final = (100_000, 50, 100)
CLOSE_SECONDS: Final = 10.0
log = logging.getLogger(__name__)


class ProcessSink:
    """Writes through a child process; starts it with the first batch, and again if it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def keep(self, batch: Batch) -> int:
        """Let the writer keep a batch, and return how many rows could not be observed.

        Raises:
            StoreError: the database does not take it now, or the writer ended.
        """
        try:
            pipe = self._started()
            pipe.send(batch)
            answer = pipe.recv()
        except (OSError, EOFError) as error:
            self._end(wait=0)
            message = "the process that writes predictions ended"
            raise StoreError(message, hint="it is started again") from error
        if isinstance(answer, int):
            return answer
        raise StoreError(str(answer))

    def rest(self) -> None:
        """Do nothing: the writer rests by itself."""

    def close(self) -> None:
        """Let the writer finish and end."""
        self._end(wait=CLOSE_SECONDS)

    def _started(self) -> Connection:
        if self._pipe is not None:
            return self._pipe
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving.prediction_log.log_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                # Whoever ends the endpoint's group of processes must leave it time to finish.
                start_new_session=True,
            )
        self._pipe = Connection(ours.detach())
        return self._pipe

    def _end(self, wait: float) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            try:
                self._process.wait(wait)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._pipe = self._process = None


def write(pipe: Connection, sink: StoreSink) -> None:
    """Keep batches until the other end closes."""
    try:
        while True:
            if pipe.poll(REST_SECONDS):
                pipe.send(kept(sink, pipe.recv()))
            sink.rest()
    except (EOFError, OSError):
        # The endpoint has ended, by itself or not.
        sink.close()


def kept(sink: StoreSink, batch: Batch) -> int | str:
    """Keep a batch; return how many rows cannot be kept, or why it must be given again."""
    try:
        return sink.keep(batch)
    except ModelyardError as error:
        return str(error)
    except Exception:
        log.exception("%d predictions cannot be logged", batch.rows)
        return batch.rows


def main() -> None:
    """Write what comes through the socket whose number is the first argument."""
    # It ends with the endpoint, and after it: what it was given must be kept.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Predictions come by the thousand and make no cycles: looking for some took a third of the time.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    with Connection(int(sys.argv[1])) as pipe:
        write(pipe, StoreSink(get_settings()))


if __name__ == "__main__":
    main()
