"""What the endpoint counts of itself: for Prometheus, and as JSON for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from pydantic import JsonValue

from modelyard.rollout.routes import RouteTable
from serving.model.backend import FaultKind
from serving.prediction_log.log import LogState
from serving.traffic.breaker import Breakers, Position
from serving.traffic.recent import Recent

type RequestOutcome = Literal["answered", "fallback", "refused", "failed"]
type FallbackReason = FaultKind | Literal["refused", "breaker", "bulkhead"]
type ShadowOutcome = Literal["sent", "dropped", "failed"]

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
POSITIONS: Final[dict[Position, int]] = {"closed": 0, "half-open": 1, "open": 2}
LABELS: Final = ("model", "version")
UNTRIED: Final[frozenset[FallbackReason]] = frozenset({"breaker", "bulkhead"})
OUTCOMES: Final[tuple[RequestOutcome, ...]] = ("answered", "fallback", "refused", "failed")
COUNTED: Final = ("fallbacks", "shadows_sent", "shadows_dropped", "shadows_failed")


class VersionFigures:
    """The counters of one version, found once, so that counting is cheap."""

    def __init__(
        self, metrics: _Metrics, model: str, version: int, recent: Recent, overall: Recent
    ) -> None:
        names = (model, str(version))
        self._requests = {outcome: metrics.requests.labels(*names, outcome) for outcome in OUTCOMES}
        self._fallbacks = metrics.fallbacks
        self._shadows = metrics.shadows
        self._seconds = metrics.seconds.labels(*names)
        self._rows = metrics.rows.labels(*names)
        self._names = names
        self._recent = recent
        self._overall = overall
        self._counted: dict[str, int] = {}

    def request(self, outcome: RequestOutcome, now: float, seconds: float, rows: int) -> None:
        """Count a request that this version answered, refused or failed at."""
        self._requests[outcome].inc()
        if outcome == "refused":
            return
        failed = outcome == "failed"
        self._overall.add(now, 1000 * seconds, failed)
        if outcome != "fallback":
            # The time of a fallback is also that of the version that failed before.
            self._recent.add(now, 1000 * seconds, failed)
        if not failed:
            self._seconds.observe(seconds)
            self._rows.inc(rows)

    def fell_back(self, reason: FallbackReason, now: float) -> None:
        """Count a request that was this version's and that goes to the champion."""
        self._fallbacks.labels(*self._names, reason).inc()
        self._add("fallbacks")
        if reason not in UNTRIED:
            self._recent.add(now, 0.0, failed=True)

    def shadow(self, outcome: ShadowOutcome) -> None:
        """Count a copy of a request."""
        self._shadows.labels(*self._names, outcome).inc()
        self._add(f"shadows_{outcome}")

    def shadows(self, outcome: ShadowOutcome) -> int:
        """How many copies of requests ended so."""
        return self._counted.get(f"shadows_{outcome}", 0)

    def document(self, now: float) -> dict[str, JsonValue]:
        """Say how it did in the last minute, and what it counted since the endpoint started."""
        return {
            **asdict(self._recent.last_minute(now)),
            **dict.fromkeys(COUNTED, 0),
            **self._counted,
        }

    def _add(self, what: str) -> None:
        self._counted[what] = self._counted.get(what, 0) + 1


@dataclass(frozen=True, slots=True)
class _Metrics:
    requests: Counter
    seconds: Histogram
    rows: Counter
    fallbacks: Counter
    shadows: Counter
    in_flight: Gauge


class Figures:
    """All counters of one endpoint process, in a registry of their own."""

    def __init__(
        self,
        log_state: Callable[[], LogState],
        breakers: Breakers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = CollectorRegistry()
        self._metrics = _made(self._registry)
        self._versions: dict[tuple[str, int], VersionFigures] = {}
        self._models: dict[str, Recent] = {}
        self._log_state = log_state
        self._breakers = breakers
        self._clock = clock
        self._begun = clock()
        self._table = RouteTable()
        self.in_flight = 0
        self._metrics.in_flight.set_function(lambda: self.in_flight)
        self._registry.register(_State(self))

    def register(self, collector: Collector) -> None:
        """Write what others count, too."""
        self._registry.register(collector)

    def of(self, model: str, version: int) -> VersionFigures:
        """Return one version's counters."""
        found = self._versions.get((model, version))
        if found is None:
            recent = Recent(self._clock())
            found = VersionFigures(self._metrics, model, version, recent, self._overall(model))
            self._versions[model, version] = found
        return found

    def _overall(self, model: str) -> Recent:
        return self._models.setdefault(model, Recent(self._clock()))

    def route_by(self, table: RouteTable) -> None:
        """Forget the last minute of versions that are gone; Prometheus keeps what was counted."""
        served = {(name, one.version) for name, routes in table.models.items() for one in routes}
        self._versions = {key: one for key, one in self._versions.items() if key in served}
        self._models = {name: one for name, one in self._models.items() if name in table.models}
        self._table = table

    def text(self) -> tuple[bytes, str]:
        """Write them as Prometheus reads them: the body and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def document(self) -> dict[str, JsonValue]:
        """Write them as JSON: by model and version, of the last minute."""
        now = self._clock()
        models: list[JsonValue] = []
        for name, routes in sorted(self._table.models.items()):
            variants: list[JsonValue] = [
                {
                    "version": route.version,
                    "role": route.role,
                    "share": route.share,
                    "breaker": self._breakers.position(route.app),
                    **self.of(name, route.version).document(now),
                }
                for route in routes
            ]
            overall = asdict(self._overall(name).last_minute(now))
            models.append({"name": name, **overall, "variants": variants})
        return {
            "uptime_s": round(now - self._begun, 1),
            "window_s": 60,
            "in_flight": self.in_flight,
            "models": models,
            "prediction_log": asdict(self._log_state()),
        }

    def breakers(self) -> Iterator[tuple[str, str, Position]]:
        """Yield model, version and where its breaker stands, for each that is not champion."""
        for name, routes in self._table.models.items():
            for route in routes:
                if route.role != "champion":
                    yield name, str(route.version), self._breakers.position(route.app)

    def shares(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield model, version, role and share of the requests."""
        for name, routes in self._table.models.items():
            for route in routes:
                yield name, str(route.version), route.role, route.share

    def shadows(self, in_flight: int) -> dict[str, JsonValue]:
        """What became of the copies of requests, all versions together."""
        ends: tuple[ShadowOutcome, ...] = ("sent", "dropped", "failed")
        totals: dict[str, JsonValue] = {
            end: sum(one.shadows(end) for one in self._versions.values()) for end in ends
        }
        return {"in_flight": in_flight, **totals}

    def log_state(self) -> LogState:
        """How the prediction log does."""
        return self._log_state()


class _State(Collector):
    """What is read when it is asked for, rather than counted."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        state = self._figures.log_state()
        name = "modelyard_prediction_log"
        yield GaugeMetricFamily(f"{name}_queued", "Predictions not yet written.", state.queued)
        yield CounterMetricFamily(f"{name}_written", "Predictions written.", state.written)
        yield CounterMetricFamily(f"{name}_dropped", "Predictions not kept.", state.dropped)
        words = "Seconds that the oldest prediction not yet written has waited."
        yield GaugeMetricFamily(f"{name}_wait_seconds", words, state.waiting_s)
        words = "Whether the last writing failed: 1 or 0."
        yield GaugeMetricFamily(f"{name}_failing", words, float(state.failing is not None))
        words = "The share of a model's requests that a version gets."
        shares = GaugeMetricFamily("modelyard_traffic_share", words, labels=(*LABELS, "role"))
        for model, version, role, share in self._figures.shares():
            shares.add_metric((model, version, role), share)
        yield shares
        words = "The circuit breaker: 0 closed, 1 half-open, 2 open."
        gauge = GaugeMetricFamily("modelyard_breaker_state", words, labels=LABELS)
        for model, version, position in self._figures.breakers():
            gauge.add_metric((model, version), POSITIONS[position])
        yield gauge


def _made(registry: CollectorRegistry) -> _Metrics:
    def counter(name: str, words: str, *labels: str) -> Counter:
        return Counter(f"modelyard_{name}", words, (*LABELS, *labels), registry=registry)

    return _Metrics(
        requests=counter("requests", "Requests by the version that answered.", "outcome"),
        seconds=Histogram(
            "modelyard_request_seconds",
            "Seconds from the checked route to the answer.",
            LABELS,
            buckets=SECONDS,
            registry=registry,
        ),
        rows=counter("rows", "Rows that were answered."),
        fallbacks=counter("fallbacks", "Requests that the champion answered instead.", "reason"),
        shadows=counter("shadows", "Copies of requests.", "outcome"),
        in_flight=Gauge("modelyard_in_flight", "Requests being answered.", registry=registry),
    )
