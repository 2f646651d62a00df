"""An endpoint on a real port for a real browser: the whole application, with invented models behind it."""

from __future__ import annotations

import base64
import io
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import uvicorn
from PIL import Image, ImageDraw
from pydantic import JsonValue

from modelyard.api_keys import NewKey
from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import ModelTraffic, RouteTable, route_table
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.records import ApiKey, LedgerEntry, RolloutRecord, Tally, Variant
from modelyard.tracking.lineage import Origin
from serving.access.keyring import Keyring
from serving.app import create_app
from serving.model.backend import Predicted
from serving.prediction_log.log import Batch, Entry, PredictionLog
from serving.prediction_log.sink import records_of
from serving.requests.rows import Row
from serving.service import Service
from serving.traffic.origins import Origins
from serving.traffic.stored import Stored
from tests.serving.fakes import FakeBackend

START_SECONDS = 30
KEY = ("model", "version", "phase", "measure")
DIGITS = tuple(map(str, range(10)))


def feature(name: str, kind: str, **more: object) -> ModelFeature:
    return ModelFeature.model_validate(
        {"name": name, "column": name, "type": kind, "required": True, **more}
    )


PETAL = feature("petal length", "number")
EXAMPLES = {
    "example-flowers": ModelSignature(
        inputs=(
            PETAL,
            feature("petal width", "number", required=False),
            feature("colour", "category", required=False, categories=("blue", "red", "white")),
            feature("wild", "binary", categories=("False", "True")),
        ),
        outputs=(feature("kind", "category", categories=("iris", "lily", "rose")),),
    ),
    "example-digits": ModelSignature(
        inputs=(feature("image", "image", height=28, width=28, channels=1),),
        outputs=(feature("label", "category", categories=DIGITS),),
    ),
    "example-cells": ModelSignature(
        inputs=(feature("image", "image", height=64, width=64, channels=3),),
        outputs=(feature("mask", "image", categories=("0", "255"), height=64, width=64),),
    ),
    "example-sounds": ModelSignature(
        inputs=(
            feature("channel", "timeseries", steps=29),
            feature("note", "text", required=False, steps=64),
        ),
        outputs=(feature("length", "number"),),
    ),
}


def origin(version: int) -> Origin:
    """Where every example comes from."""
    return Origin(
        version=version,
        registered=datetime(2026, 11, 20, 9, tzinfo=UTC),
        run="example-flowers.20261120T085500-1a2b",
        mlflow_run="5f" * 16,
        experiment="1",
        spec_hash="5e" * 32,
        data_revision="work tree",
        content_hash="da" * 16,
        data_hash="7a" * 32,
        weights_hash="3e" * 32,
        git_commit="c0" * 20,
        git_dirty=True,
        environment_hash="9c" * 32,
    )


def champions() -> list[Variant]:
    """Every example, its first version with all the traffic."""
    return [Variant(model=name, version=1, weight=1, role="champion") for name in EXAMPLES]


class Examples(FakeBackend):
    """Answers each kind of output with what is plainly invented."""

    async def predict(self, app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        await super().predict(app, rows, timeout_s)
        model = app.removeprefix("modelyard-").rpartition("-v")[0]
        outputs = self.signatures[model].outputs
        return Predicted([{one.name: _invented(one, row) for one in outputs} for row in rows], 1.5)


def _invented(output: ModelFeature, row: Row) -> dict[str, JsonValue]:
    if output.type == "image":
        return {"prediction": ellipse(row["image"]), "share": 0.15}
    if output.type == "number":
        return {"prediction": 152.1334}
    known = output.categories or ()
    sure = 0.91
    rest = (1 - sure) / (len(known) - 1)
    chances: dict[str, JsonValue] = dict.fromkeys(known, rest)
    answer = known[len(known) // 2]
    return {"prediction": answer, "probability": sure, "probabilities": {**chances, answer: sure}}


def ellipse(image: object) -> str:
    """A mask as large as the image."""
    assert isinstance(image, bytes)
    with Image.open(io.BytesIO(image)) as opened:
        width, height = opened.size
    mask = Image.new("L", (width, height))
    corners = (0.2 * width, 0.25 * height, 0.6 * width, 0.7 * height)
    ImageDraw.Draw(mask).ellipse(corners, fill=255)
    stream = io.BytesIO()
    mask.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


class Keep:
    """Writes predictions and counts to the database, without profiles."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, batch: Batch) -> int:
        records = records_of(batch.entries, lambda entry: dict.fromkeys(_columns(entry), "seen"))
        self._store.log_predictions(records)
        counts = [
            Tally.model_validate(dict(zip(KEY, key, strict=True)) | {"trials": n, "hits": hits})
            for key, n, hits in batch.tallies
        ]
        self._store.add_tallies(counts)
        return 0

    def rest(self) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Its maker closes the database."""


def _columns(entry: Entry) -> list[str]:
    return [name for name, _ in entry.features]


@dataclass
class Yard:
    """The endpoint, and the means to change what it serves."""

    url: str
    service: Service
    backend: Examples
    store: Store
    keyring: Keyring
    keys: list[ApiKey] = field(default_factory=list)
    changed: bool = False

    def serve(self, *variants: Variant, rollout: RolloutRecord | None = None) -> None:
        """Serve these, and let the ledger say so."""
        self.changed = True
        for model in {variant.model for variant in variants}:
            kept = [variant for variant in variants if variant.model == model]
            after = {str(one.version): one.weight for one in kept}
            entry = LedgerEntry(
                model=model, action="split", before={}, after=after, reason="for a test", by="me"
            )
            under_way = rollout if rollout is not None and rollout.model == model else None
            self.store.move(model, kept, entry, under_way)
        self.route()

    def route(self) -> None:
        """Let the endpoint route as the database says."""
        phases = self.store.phases()
        traffic = {model: ModelTraffic(phase=phase) for model, phase in phases.items()}
        self.service.route_by(route_table(self.store.variants(), traffic))

    def restore(self) -> None:
        """Serve the examples again, and nothing else."""
        for model in {variant.model for variant in self.store.variants()} - set(EXAMPLES):
            entry = LedgerEntry(
                model=model, action="withdraw", before={}, after={}, reason="", by="me"
            )
            self.store.move(model, (), entry)
            del self.backend.signatures[model]
        self.serve(*champions())
        self.changed = False

    def clear(self) -> None:
        """Serve nothing."""
        self.changed = True
        self.service.route_by(RouteTable())

    def lock(self, *keys: NewKey) -> None:
        """Let in only those with these keys; everybody here, without any."""
        self.keys[:] = [key.record for key in keys]
        self.keyring.refresh()


@contextmanager
def open_yard(folder: Path) -> Iterator[Yard]:
    """Start the endpoint on a free port, serving every example."""
    settings = Settings(  # type: ignore[call-arg]
        project=folder,
        MODELYARD_HOME=folder / "home",
        MODELYARD_TRACKING_URI="http://127.0.0.1:5000",
        airflow_url="http://127.0.0.1:8080",
    )
    store = open_store(settings.database_url)
    keys: list[ApiKey] = []
    keyring = Keyring(settings, lambda: tuple(keys), every=60)
    backend = Examples(dict(EXAMPLES))
    log = PredictionLog(Keep(store))
    service = Service(backend, log, Stored(settings.database_url))
    origins = Origins(lambda model, version: origin(version) if model in EXAMPLES else None)
    app = create_app(service, keyring=keyring, origins=origins, settings=settings)
    # Tests do not wait until the traffic's answers of a second ago have grown old.
    with patch("serving.routes.traffic.KEPT_SECONDS", 0.0), _listening(app) as url:
        yard = Yard(url, service, backend, store, keyring, keys)
        yard.serve(*champions())
        yard.changed = False
        yield yard
    log.close()
    keyring.close()
    store.close()


@contextmanager
def _listening(app: object) -> Iterator[str]:
    opened = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < deadline:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        opened.close()
