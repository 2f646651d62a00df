"""Metrics on their way to MLflow: gathered, and sent in batches that survive its absence."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelyard.tracking.client import PATIENCE, call, passing, quiet
from modelyard.tracking.params import safe_key

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

SECONDS_BETWEEN_CALLS = 1.0
METRICS_A_CALL = 1000


class Metrics:
    """The metrics of one run that MLflow has not got yet."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._waiting: list[Metric] = []
        self._next_call = 0.0
        self._silent_since: float | None = None

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Take figures; training goes on while MLflow is away, for a minute."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [
            Metric(safe_key(name), value, now, step)
            for name, value in values.items()
            if math.isfinite(value)
        ]
        if time.monotonic() >= self._next_call:
            self._try()

    def flush(self, patience: float | None = None) -> None:
        """Send all, and wait for MLflow if it is away.

        Raises:
            TrackingError: it stays away.
        """
        while self._waiting:
            call("log metrics", self._send, patience)

    def _try(self) -> None:
        self._next_call = time.monotonic() + SECONDS_BETWEEN_CALLS
        try:
            with quiet():
                self._send()
        except Exception as error:  # noqa: BLE001 - `passing` sorts them, `flush` raises
            if not passing(error) or self._is_too_long():
                self.flush(patience=0)  # says what is wrong
        else:
            self._silent_since = None

    def _is_too_long(self) -> bool:
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        return now - self._silent_since > PATIENCE

    def _send(self) -> None:
        part = self._waiting[:METRICS_A_CALL]
        if part:
            self._client.log_batch(self._run_id, metrics=part)
            del self._waiting[: len(part)]
