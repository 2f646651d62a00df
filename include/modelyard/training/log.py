"""What a training tells while it goes on; `modelyard.tracking` writes it to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue


class TrainingLog(Protocol):
    """Takes what a training has to say of itself."""

    @property
    def run_id(self) -> str:
        """The tracked run; empty where nothing is tracked."""

    def begin(self, key: str, facts: Mapping[str, str]) -> None:
        """Open the run of the training with this key, or continue it if it was begun before."""

    def params(self, values: Mapping[str, JsonValue]) -> None:
        """Note what the training was asked to do; dotted keys."""

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        """Note the figures of one epoch, which counts from 1."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Note figures that do not belong to an epoch."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file with the run."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Note facts by which runs are found."""

    def child(self, name: str, key: str) -> AbstractContextManager[TrainingLog]:
        """Open a run nested below this one, for a trial or a fold; it is begun already.

        An exception that leaves the context marks the child as failed and is passed on.
        """

    def failed(self, reason: str) -> None:
        """Mark this run as failed, for a failure that does not end the search."""


class Untracked:
    """A log for trainings that nobody follows."""

    run_id = ""

    def begin(self, key: str, facts: Mapping[str, str]) -> None:
        """Do nothing."""

    def params(self, values: Mapping[str, JsonValue]) -> None:
        """Do nothing."""

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Do nothing."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Do nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Do nothing."""

    def child(self, name: str, key: str) -> AbstractContextManager[TrainingLog]:
        """Return itself."""
        del name, key
        return nullcontext(self)

    def failed(self, reason: str) -> None:
        """Do nothing."""
