"""What MLflow has not got yet of a run: gathered, and sent in few calls that survive its absence."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelyard.tracking.client import PATIENCE, call, passing, quiet
from modelyard.tracking.params import safe_key

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

SECONDS_BETWEEN_CALLS = 1.0
METRICS_A_CALL = (
    800  # MLflow takes 1,000 entries a call in all, 100 of them parameters and 100 tags
)
OTHERS_A_CALL = 100


class Outbox:
    """The metrics, parameters and tags of one run on their way; safe from any thread."""

    def __init__(self, client: MlflowClient, run_id: str, *, hold: float = 0.0) -> None:
        """Send at once, and then every second; with `hold`, first and then after so many seconds."""
        self._client = client
        self._run_id = run_id
        self._metrics: list[Metric] = []
        self._params: list[Param] = []
        self._tags: list[RunTag] = []
        self._hold = hold
        self._next_call = time.monotonic() + hold
        self._silent_since: float | None = None
        self._lock = threading.RLock()

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Take figures; training goes on while MLflow is away, for a minute."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with self._lock:
            self._metrics += [
                Metric(safe_key(name), value, now, step)
                for name, value in values.items()
                if math.isfinite(value)
            ]
            self._send_if_due()

    def params(self, values: Mapping[str, str]) -> None:
        """Take parameters, flattened already."""
        from mlflow.entities import Param

        with self._lock:
            self._params += [Param(key, value) for key, value in values.items()]
            self._send_if_due()

    def tags(self, values: Mapping[str, str]) -> None:
        """Take tags."""
        from mlflow.entities import RunTag

        with self._lock:
            self._tags += [RunTag(safe_key(key), value) for key, value in values.items()]
            self._send_if_due()

    def flush(self, patience: float | None = None) -> None:
        """Send all, and wait for MLflow if it is away.

        Raises:
            TrackingError: it stays away.
        """
        with self._lock:
            while self._metrics or self._params or self._tags:
                call("log metrics", self._send, patience)

    def _send_if_due(self) -> None:
        if time.monotonic() < self._next_call:
            return
        self._next_call = time.monotonic() + max(SECONDS_BETWEEN_CALLS, self._hold)
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
        metrics = self._metrics[:METRICS_A_CALL]
        params = self._params[:OTHERS_A_CALL]
        tags = self._tags[:OTHERS_A_CALL]
        if metrics or params or tags:
            self._client.log_batch(self._run_id, metrics=metrics, params=params, tags=tags)
            del self._metrics[: len(metrics)]
            del self._params[: len(params)]
            del self._tags[: len(tags)]
