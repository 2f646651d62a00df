"""What the service itself costs a request, without HTTP, Ray and model: microseconds each.

A backend that answers at once stands behind it, and a sink that throws everything away. Run:

    python benchmarks/serving/service_cost.py

Each figure is the best of several rounds, in CPU time of this thread, one request after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import ModelTraffic, route_table
from modelyard.store.records import Variant
from serving.model.backend import Description, Predicted, VariantFault
from serving.prediction_log.log import Batch, PredictionLog
from serving.requests.bodies import Rows
from serving.requests.rows import Row, check_rows
from serving.service import Service

COLUMNS = 30
NUMBERS = tuple(
    ModelFeature(name=f"x{n}", column=f"x{n}", type="number", required=True) for n in range(COLUMNS)
)
KIND = ModelFeature(name="y", column="y", type="category", required=True, categories=("a", "b"))
SIGNATURE = ModelSignature(inputs=NUMBERS, outputs=(KIND,))
OUTPUT = {"y": {"prediction": "a", "probability": 0.75, "probabilities": {"a": 0.75, "b": 0.25}}}
ROW: dict[str, object] = {f"x{n}": n + 0.5 for n in range(COLUMNS)}
BROKEN = "modelyard-m-v3"


class NullBackend:
    """Answers at once; version 3 always fails."""

    async def describe(self, app: str) -> Description:
        """Say what every version is."""
        version = int(app.rpartition("-v")[2])
        return Description(
            model="m", version=version, run=None, mlflow_run=None, metrics={}, signature=SIGNATURE
        )

    async def predict(self, app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        """Answer the same to every row."""
        del timeout_s
        if app == BROKEN:
            raise VariantFault(kind="failed", detail="it always does")
        return Predicted([OUTPUT for _ in rows], 1.0)


class NullSink:
    """Throws everything away."""

    def keep(self, batch: Batch) -> int:
        """Keep nothing."""
        del batch
        return 0

    def rest(self) -> None:
        """Have nothing to do."""

    def close(self) -> None:
        """Have nothing to finish."""


def variants(shadow: float = 0) -> list[Variant]:
    """A champion with half the traffic, a challenger with the rest, and one that is broken."""
    return [
        Variant(model="m", version=1, weight=0.5, role="champion"),
        Variant(model="m", version=2, weight=0.5, role="challenger", shadow=shadow),
        Variant(model="m", version=3, weight=0.0, role="challenger"),
    ]


def service(log: PredictionLog, shadow: float = 0) -> Service:
    """A service that counts for a phase."""
    made = Service(NullBackend(), log)
    traffic = {"m": ModelTraffic(phase="p", slow_ms=5.0)}
    made.route_by(route_table(variants(shadow), traffic))
    return made


async def microseconds(ask: Callable[[], Awaitable[object]], count: int, rounds: int) -> float:
    """Return the CPU time of one call in the best round."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.thread_time()
        for _ in range(count):
            await ask()
        best = min(best, (time.thread_time() - begun) / count)
        await asyncio.sleep(0.3)
    return 1e6 * best


async def measure(count: int, rounds: int) -> dict[str, float]:
    """Measure each way through the service."""
    log = PredictionLog(NullSink())
    plain, copying = service(log), service(log, shadow=1)
    one, many = Rows([ROW]), Rows([ROW] * 50)
    name, routes = plain.model(None)
    champion, challenger, broken = routes

    async def copied() -> None:
        await copying.predict(name, copying.model(None)[1][0], one)
        await copying.shadows.finish()

    async def checked() -> None:
        check_rows(SIGNATURE, [ROW])

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "check_rows alone": checked,
        "one row, champion": lambda: plain.predict(name, champion, one),
        "one row, challenger": lambda: plain.predict(name, challenger, one),
        "one row, picked by key": lambda: plain.answer(None, one, "user-17"),
        "one row, breaker open": lambda: plain.predict(name, broken, one),
        "one row, copied": copied,
        "50 rows, champion": lambda: plain.predict(name, champion, many),
    }
    found = {}
    for way, ask in ways.items():
        found[way] = await microseconds(ask, count // 20 if "50" in way else count, rounds)
    log.close()
    return found


def main() -> None:
    """Print microseconds a request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"microseconds a request, rows of {COLUMNS} numbers")
    for way, figure in asyncio.run(measure(options.count, options.rounds)).items():
        print(f"{way:24} {figure:8.1f}")


if __name__ == "__main__":
    main()
