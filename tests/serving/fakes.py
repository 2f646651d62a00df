"""Variants and sinks that need neither Ray nor a database."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi.testclient import TestClient
from PIL import Image
from pydantic import JsonValue

from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import ModelTraffic, RouteTable, route_table
from modelyard.store.records import PredictionRecord, ShadowRecord, Variant
from serving.model.backend import Description, FaultKind, Predicted, VariantFault
from serving.prediction_log.log import Batch, Entry, PredictionLog, TallyKey
from serving.prediction_log.sink import records_of
from serving.requests.bodies import Rows
from serving.requests.options import PredictOptions
from serving.requests.rows import Row
from serving.service import DEFAULTS, Service
from serving.traffic.stored import Stored

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
    """Answers for any variant; remembers which one was asked what.

    By application: `down` do not answer at all; `faults` are raised instead of an answer; `held`
    wait for their event, and set `entered` before; `said` is what is predicted, `took` the
    milliseconds that it says it took.
    """

    signatures: dict[str, ModelSignature]
    asked: list[tuple[str, Sequence[Row]]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    faults: dict[str, Exception] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    said: dict[str, JsonValue] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

    async def describe(self, app: str) -> Description:
        model, _, version = app.removeprefix("modelyard-").rpartition("-v")
        if app in self.down:
            raise _fault(app, "down")
        return Description(
            model=model,
            version=int(version),
            run="run-1",
            mlflow_run="abc",
            metrics={"kind.accuracy": 0.9},
            signature=self.signatures.get(app, self.signatures[model]),
        )

    async def predict(self, app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        self.asked.append((app, rows))
        if app in self.held:
            self.entered.set()
            try:
                async with asyncio.timeout(timeout_s):
                    await self.held[app].wait()
            except TimeoutError as error:
                raise _fault(app, "timeout") from error
        if app in self.down:
            raise _fault(app, "down")
        if app in self.faults:
            raise self.faults[app]
        answer = {
            "prediction": self.said.get(app, "a"),
            "probability": 0.75,
            "probabilities": {"a": 0.75, "b": 0.25},
        }
        return Predicted([{"kind": dict(answer)} for _ in rows], self.took.get(app, 1.5))


def _fault(app: str, kind: FaultKind) -> VariantFault:
    return VariantFault(kind, f"{app} does not answer")


class MemorySink:
    """Keeps records in memory; may be told to fail or to wait."""

    def __init__(self) -> None:
        self.records: list[PredictionRecord] = []
        self.shadows: list[ShadowRecord] = []
        self.tallies: dict[TallyKey, tuple[int, int]] = {}
        self.batches: list[int] = []
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False
        self.rests = 0
        self.rest_fault: Exception | None = None

    @staticmethod
    def observe(entry: Entry) -> dict[str, JsonValue]:
        if entry.row.get("length") == -1.0:
            message = "cannot be observed"
            raise ValueError(message)
        return {name: str(entry.row[name]) for name, _ in entry.features}

    def keep(self, batch: Batch) -> int:
        self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        records = records_of(batch.entries, self.observe)
        self.records.extend(records)
        self.shadows.extend(batch.shadows)
        for key, trials, hits in batch.tallies:
            before = self.tallies.get(key, (0, 0))
            self.tallies[key] = (before[0] + trials, before[1] + hits)
        if batch.rows:
            self.batches.append(len(records))
        return len(batch.entries) - len(records)

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


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Direct:
    """A service without HTTP around it: versions 1 (champion) and 2 of the model `flowers`."""

    def __init__(self, stored: Stored | None = None, sink: MemorySink | None = None) -> None:
        self.backend = FakeBackend({"flowers": FLOWERS, "digits": DIGITS})
        self.sink = sink or MemorySink()
        self.log = PredictionLog(self.sink)
        self.clock = Clock()
        self.places = 0
        self.service = Service(self.backend, self.log, stored, load=self._load, clock=self.clock)
        self.split()

    def _load(self) -> float:
        """How many of `places` requests are under way; 0 where there is no bound."""
        under_way = self.service.figures().in_flight
        return under_way / self.places if self.places else 0.0

    def split(
        self,
        challenger: float = 0.5,
        *,
        shadow: float = 0,
        experiment: str | None = None,
        **traffic: object,
    ) -> None:
        """Give version 2 a share; `traffic` are fields of ModelTraffic."""
        variants = [
            Variant(
                model="flowers",
                version=1,
                weight=1 - challenger,
                role="champion",
                experiment=experiment,
            ),
            Variant(
                model="flowers",
                version=2,
                weight=challenger,
                role="challenger",
                shadow=shadow,
                experiment=experiment,
            ),
        ]
        rules = ModelTraffic.model_validate({"phase": "move-1", **traffic})
        self.service.route_by(route_table(variants, {"flowers": rules}))

    async def ask(
        self, version: int, *rows: Row, options: PredictOptions = DEFAULTS
    ) -> dict[str, JsonValue]:
        """Send rows to one version, as if chance or a key had picked it."""
        name, routes = self.service.model(None)
        [route] = [route for route in routes if route.version == version]
        body = Rows(list(rows or ({"length": 1.5},)))
        return await self.service.predict(name, route, body, options)

    def counted(self) -> dict[tuple[int, str], tuple[int, int]]:
        """Close the log; return (version, measure) to (trials, hits) of the phase."""
        self.log.close()
        return {
            (version, measure): counts
            for (_, version, phase, measure), counts in self.sink.tallies.items()
            if phase == "move-1"
        }


CHALLENGER = "modelyard-flowers-v2"
CHAMPION = "modelyard-flowers-v1"
