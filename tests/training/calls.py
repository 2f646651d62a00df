"""Calls that other processes can run without Ludwig."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.training.pool import Say

FOREVER = 60.0


def nothing(say: Say) -> JsonValue:
    """Warm up at no cost."""
    del say
    return None


@dataclass(frozen=True)
class Count:
    """Counts aloud and returns the sum, with the process that did it."""

    upto: int

    def __call__(self, say: Say) -> JsonValue:
        for number in range(1, self.upto + 1):
            say({"number": number})
        return {"sum": sum(range(self.upto + 1)), "pid": os.getpid()}


@dataclass(frozen=True)
class Meet:
    """Waits in a folder until so many calls run at once."""

    folder: Path
    name: str
    guests: int

    def __call__(self, say: Say) -> JsonValue:
        (self.folder / self.name).touch()
        pause = threading.Event()
        for _ in range(int(FOREVER / 0.02)):
            if len(list(self.folder.iterdir())) >= self.guests:
                return os.getpid()
            pause.wait(0.02)
        say({"alone": True})
        return None


@dataclass(frozen=True)
class Die:
    """Is killed, so often as its folder does not show it yet."""

    folder: Path
    times: int

    def __call__(self, say: Say) -> JsonValue:
        del say
        died = len(list(self.folder.iterdir()))
        if died < self.times:
            (self.folder / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return died


@dataclass(frozen=True)
class Last:
    """Goes on until it is ended, saying so again and again."""

    started: Path

    def __call__(self, say: Say) -> JsonValue:
        self.started.touch()
        pause = threading.Event()
        for number in range(int(FOREVER / 0.02)):
            say({"number": number})
            pause.wait(0.02)
        return "to its end"


def refuse(say: Say) -> JsonValue:
    """Fail as a training does."""
    del say
    message = "the learning rate is too high"
    raise TrainingError(message, hint="lower it")


def stumble(say: Say) -> JsonValue:
    """Fail as nobody foresaw."""
    del say
    return 1 // 0
