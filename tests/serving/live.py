"""The HTTP interface on a real port, with models of every kind of answer, for real clients."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import JsonValue

from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import route_table
from modelyard.store.database import Store, open_store
from modelyard.store.records import Variant
from serving.app import create_app
from serving.http.shortcut import add_shortcut
from serving.model.backend import Predicted
from serving.model.outputs import Output
from serving.prediction_log.log import Batch, PredictionLog
from serving.requests.rows import Row
from serving.service import Service
from serving.traffic.stored import Stored
from tests.serving.fakes import DIGITS, FLOWERS, FakeBackend, MemorySink, picture

START_SECONDS = 10.0
MASK = base64.b64encode(picture((4, 3), shade=255)).decode()


def feature(name: str, kind: str, *categories: str, required: bool = True) -> ModelFeature:
    return ModelFeature(
        name=name, column=name, type=kind, required=required, categories=categories or None
    )


CELLS = ModelSignature(inputs=DIGITS.inputs, outputs=(feature("mask", "image", "0", "255"),))
MIXED = ModelSignature(
    inputs=(
        feature("size", "number"),
        feature("words", "text", required=False),
        feature("wave", "timeseries", required=False),
        feature("sent", "date", required=False),
    ),
    outputs=(
        feature("price", "number"),
        feature("sold", "binary", "False", "True"),
        feature("spectrum", "vector"),
    ),
)
SIGNATURES = {"flowers": FLOWERS, "digits": DIGITS, "cells": CELLS, "mixed": MIXED}


class SignedBackend(FakeBackend):
    """Answers what each model's signature promises."""

    async def predict(self, app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        await super().predict(app, rows, timeout_s)
        model = app.removeprefix("modelyard-").rpartition("-v")[0]
        output = {one.name: _said(one) for one in self.signatures[model].outputs}
        return Predicted([_copy(output) for _ in rows], 1.5)


def _copy(output: Output) -> Output:
    return {name: dict(parts) for name, parts in output.items()}


def _said(output: ModelFeature) -> dict[str, JsonValue]:
    if output.categories and output.type != "image":
        names = output.categories
        chances: dict[str, JsonValue] = {name: 1 / len(names) for name in names}
        return {
            "prediction": names[-1],
            "probability": 1 / len(names),
            "probabilities": chances,
        }
    if output.type == "image":
        return {"prediction": MASK, "share": 0.25}
    return {"prediction": [0.5, 1.5] if output.type == "vector" else 2.5}


class KeepingSink(MemorySink):
    """Writes predictions into a database too."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def keep(self, batch: Batch) -> int:
        before = len(self.records)
        refused = super().keep(batch)
        self.store.log_predictions(self.records[before:])
        return refused


@dataclass
class Live:
    """Where it is, and what stands behind it."""

    url: str
    app: FastAPI
    service: Service
    backend: FakeBackend
    log: PredictionLog

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")


@contextmanager
def live_endpoint(folder: Path) -> Iterator[Live]:
    """Serve until the block ends."""
    url = f"sqlite:///{folder}/yard.db"
    with open_store(url) as store:
        backend = SignedBackend(dict(SIGNATURES))
        log = PredictionLog(KeepingSink(store))
        service = Service(backend, log, Stored(url))
        service.route_by(
            route_table(
                [
                    *(
                        Variant(model=name, version=1, weight=1, role="champion")
                        for name in SIGNATURES
                    ),
                    Variant(model="flowers", version=2, weight=0, role="challenger"),
                ]
            )
        )
        app = create_app(service)
        add_shortcut(app)
        with _served(app) as address:
            yield Live(address, app, service, backend, log)
        log.close()


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_keep_alive=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        # The socket listens already: who connects now waits until the server accepts.
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        listening.close()
