"""An endpoint of which everything that it can count has happened."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn

from modelyard.api_keys import make_key
from modelyard.rollout.routes import ModelTraffic, route_table
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import (
    AlertEvent,
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    RetrainingRecord,
    Verdict,
)
from modelyard.store.records import PredictionRecord, Variant
from serving.access.keyring import Keyring, Refusals
from serving.app import create_app
from serving.http.admission import Admission, AdmissionFigures, Capacity
from serving.model.backend import VariantFault
from serving.prediction_log.log import PredictionLog
from serving.service import Service
from serving.traffic.stored import Stored
from tests.serving.fakes import CHALLENGER, FLOWERS, FakeBackend, MemorySink

MODEL = "flowers"
PATIENCE_S = 60
NOW = datetime.now(UTC)
SPAN = {"first_at": NOW - timedelta(hours=1), "last_at": NOW}
KEY = make_key("prometheus", ["metrics", "predict"])
HEADERS = {"Authorization": f"Bearer {KEY.text}"}


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it is, and how to ask it."""

    url: str
    folder: Path

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    def scrape(self) -> str:
        """Read what Prometheus would."""
        return httpx.get(f"{self.url}/metrics", headers=HEADERS).raise_for_status().text

    def predict(self) -> None:
        """Let some requests be answered: some are copied, and some fail at first."""
        for key in "abcdefgh":
            headers = {**HEADERS, "X-Sticky-Key": key}
            row = {"rows": [{"length": 1.5}]}
            httpx.post(f"{self.url}/predict", headers=headers, json=row).raise_for_status()


def fill(store: Store) -> None:
    """Write what watching writes."""
    store.log_predictions([_prediction(version) for version in (1, 2)])
    store.save_verdicts(_drift())
    store.save_performance(_performance())
    alert = _alert()
    opened = AlertEvent(
        alert=alert.id, model=MODEL, change="opened", level="critical", deliver=True
    )
    store.change_alerts(MODEL, lambda _open: ([alert], [opened]))
    store.mark_delivery(opened.id, "no route to the mail server")
    asked = RetrainingRecord(model=MODEL, alert=alert.id)
    store.ask_retraining(asked, cooled=NOW, budget=(NOW, 4))


def _prediction(version: int) -> PredictionRecord:
    fields = {"id": f"p{version}", "at": NOW, "model": MODEL, "version": version, "request": "r"}
    said = {"outputs": {"kind": "a"}, "probability": {"kind": 0.9}, "latency_ms": 1}
    return PredictionRecord.model_validate({**fields, "inputs": {"length": 1.5}, **said})


def _verdict(column: str, kind: str, effect: float) -> Verdict:
    fields = {"column": column, "kind": kind, "test": "KS", "statistic": effect, "p_value": 0.01}
    more = {"p_adjusted": 0.02, "effect": effect, "effect_name": "KS distance"}
    rows = {"reference_rows": 100, "live_rows": 100, "reference_missing": 0, "live_missing": 0}
    return Verdict.model_validate({**fields, **more, **rows, "drifted": effect > 0.1})


def _drift() -> DriftCheck:
    fields = {"model": MODEL, "version": 1, "window": "1000", "rows": 1000, "reference_rows": 100}
    more = {"alpha": 0.05, "correction": "benjamini-hochberg", "min_effect": 0.1, "drifted": True}
    verdicts = (_verdict("length", "number", 0.31), _verdict("length", "missing", 0.01))
    return DriftCheck.model_validate({**fields, **more, **SPAN, "verdicts": verdicts})


def _performance() -> PerformanceCheck:
    metric = {"output": "kind", "metric": "accuracy", "watched": True, "rows": 900, "value": 0.8}
    known = {**metric, "baseline": 0.9, "degradation": 0.11}
    metrics = [MetricVerdict.model_validate({**known, "estimated": how}) for how in (False, True)]
    fields = {"model": MODEL, "version": 1, "window": "1000", "rows": 1000, "labelled": 900}
    return PerformanceCheck.model_validate({**fields, **SPAN, "alpha": 0.05, "metrics": metrics})


def _alert() -> AlertRecord:
    fields = {"model": MODEL, "version": 1, "kind": "drift", "subject": "length", "value": 0.31}
    level = {"level": "critical", "worst": "critical", "peak": 0.31, "windows": ("1000",)}
    return AlertRecord.model_validate({**fields, **level, "reason": "far", "onset": NOW})


@contextmanager
def watched_endpoint(folder: Path) -> Iterator[Scene]:
    """Serve it on a free port for the block."""
    settings = Settings(project=folder, MODELYARD_HOME=folder / "home")
    profiles = settings.home / "profiles" / MODEL
    for version in ("1", "2"):
        (profiles / version).mkdir(parents=True)
    with open_store(settings.database_url) as store:
        fill(store)
    keyring = Keyring(settings, lambda: (KEY.record,), every=60)
    log = PredictionLog(MemorySink())
    service = _service(settings, log)
    service.count_also(Refusals(keyring))
    capacity = Capacity()
    service.count_also(AdmissionFigures(capacity))
    app = Admission(create_app(service, keyring=keyring, settings=settings), capacity)
    try:
        with _listening(app) as url:
            scene = Scene(url, folder)
            httpx.get(f"{url}/metrics")  # refused, and counted
            scene.predict()
            _settle(scene)
            yield scene
    finally:
        log.close()
        keyring.close()


def _settle(scene: Scene) -> None:
    """Wait until the database was read once, which on a busy machine takes more than one scrape."""
    deadline = time.monotonic() + PATIENCE_S
    while "modelyard_database_up 1.0" not in scene.scrape():
        assert time.monotonic() < deadline, "the database was not read"


def _service(settings: Settings, log: PredictionLog) -> Service:
    """Version 2 gets half of the requests and copies of the rest, and fails at all of them."""
    backend = FakeBackend(
        {MODEL: FLOWERS}, faults={CHALLENGER: VariantFault("failed", "it raised")}
    )
    service = Service(backend, log, Stored(settings.database_url), home=settings.home)
    champion = Variant(model=MODEL, version=1, weight=0.5, role="champion")
    challenger = Variant(model=MODEL, version=2, weight=0.5, role="challenger", shadow=1)
    rules = {MODEL: ModelTraffic(phase="phase")}
    service.route_by(route_table([champion, challenger], rules))
    return service


@contextmanager
def _listening(app: object) -> Iterator[str]:
    opened = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
    thread.start()
    try:
        # The socket listens already: who connects now waits until the server accepts.
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        opened.close()
