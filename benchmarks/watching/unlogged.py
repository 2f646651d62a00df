"""The endpoint as a Ray Serve application, without its prediction log: what the log is held against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ray import serve

from modelyard.store.records import ShadowRecord
from serving import ingress, service
from serving.prediction_log.log import Batch, Entry, PredictionLog

if TYPE_CHECKING:
    from ray.serve import Application


class NoSink:
    """Has nothing to write."""

    def keep(self, batch: Batch) -> int:
        """Keep nothing."""
        del batch
        return 0

    def rest(self) -> None:
        """Have nothing to do."""

    def close(self) -> None:
        """Have nothing to finish."""


class NoLog(PredictionLog):
    """A log that forgets predictions at once; the counts of a rollout are no part of what it costs."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Forget them."""
        del entries

    def shadow(self, record: ShadowRecord) -> None:
        """Forget it."""
        del record


def no_entries(*_: object) -> list[Entry]:
    """Write nothing down of an answer."""
    return []


class Unlogged(ingress.Ingress):
    """The endpoint's deployment, in whose process there is no log."""

    def __init__(self, host: str, port: int) -> None:
        ingress.PredictionLog = NoLog  # type: ignore[misc]
        ingress.ProcessSink = NoSink  # type: ignore[misc,assignment]
        service.entries_of = no_entries  # type: ignore[assignment]
        super().__init__(host, port)


def build(args: dict[str, Any]) -> Application:
    """Make the Serve application of such an endpoint."""
    deployment = serve.deployment(
        Unlogged,
        name="Ingress",
        max_ongoing_requests=256,
        health_check_period_s=ingress.HEALTH_SECONDS,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=ingress.STOP_SECONDS,
    )
    return deployment.bind(str(args["host"]), int(args["port"]))
