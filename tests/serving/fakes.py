"""Variants and sinks that need neither Ray nor a database."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.testclient import TestClient
from PIL import Image
from pydantic import JsonValue

from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import RouteTable, route_table
from modelyard.store.records import PredictionRecord, Variant
from serving.backend import Description, Predicted
from serving.log import Entry, PredictionLog
from serving.problems import Refusal
from serving.rows import Row
from serving.service import Service

FLOWERS = ModelSignature(
    inputs=(
        ModelFeature(name="length", column="length", type="number", required=True),
        ModelFeature(name="width", column="width", type="number", required=False),
        ModelFeature(
            name="colour",
            column="colour",
            type="category",
            required=False,
            categories=("blue", "red"),
        ),
        ModelFeature(
            name="wild", column="wild", type="binary", required=False, categories=("False", "True")
        ),
    ),
    outputs=(
        ModelFeature(name="kind", column="kind", type="category", required=True, categories=("a",)),
    ),
)
DIGITS = ModelSignature(
    inputs=(
        ModelFeature(
            name="image",
            column="image",
            type="image",
            required=True,
            height=28,
            width=28,
            channels=1,
        ),
    ),
    outputs=(
        ModelFeature(
            name="label", column="label", type="category", required=True, categories=("0", "1")
        ),
    ),
)


def picture(size: tuple[int, int] = (28, 28), kind: str = "PNG", shade: int = 200) -> bytes:
    """An image file."""
    stream = io.BytesIO()
    Image.new("L", size, shade).save(stream, kind)
    return stream.getvalue()


@dataclass
class FakeBackend:
    """Answers for any variant; remembers which one was asked what."""

    signatures: dict[str, ModelSignature]
    asked: list[tuple[str, Sequence[Row]]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    async def describe(self, app: str) -> Description:
        model, _, version = app.removeprefix("modelyard-").rpartition("-v")
        if app in self.down:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{app} does not answer")
        return Description(
            model=model,
            version=int(version),
            run="run-1",
            mlflow_run="abc",
            metrics={"kind.accuracy": 0.9},
            signature=self.signatures[model],
        )

    async def predict(self, app: str, rows: Sequence[Row]) -> Predicted:
        self.asked.append((app, rows))
        answer = {"prediction": "a", "probability": 0.75, "probabilities": {"a": 0.75, "b": 0.25}}
        return Predicted([{"kind": dict(answer)} for _ in rows], 1.5)


class MemorySink:
    """Keeps records in memory; may be told to fail or to wait."""

    def __init__(self) -> None:
        self.records: list[PredictionRecord] = []
        self.batches: list[int] = []
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False
        self.rests = 0
        self.rest_fault: Exception | None = None

    def observe(self, entry: Entry) -> dict[str, JsonValue]:
        if entry.row.get("length") == -1.0:
            message = "cannot be observed"
            raise ValueError(message)
        return {name: str(entry.row[name]) for name, _ in entry.features}

    def write(self, records: Sequence[PredictionRecord]) -> None:
        self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        self.records.extend(records)
        self.batches.append(len(records))

    def rest(self) -> None:
        self.rests += 1
        if self.rest_fault is not None:
            raise self.rest_fault

    def close(self) -> None:
        self.closed = True


@dataclass
class Endpoint:
    """The HTTP interface with all that stands behind it."""

    client: TestClient
    service: Service
    backend: FakeBackend
    sink: MemorySink
    log: PredictionLog

    def route(self, *variants: Variant) -> None:
        self.service.route_by(route_table(variants))

    def clear(self) -> None:
        self.service.route_by(RouteTable())
