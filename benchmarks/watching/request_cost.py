"""What the prediction log and its profiles cost the endpoint: paired runs with and without.

    .venv/bin/python -m benchmarks.watching.request_cost [--pairs 12] [--seconds 10] [--concurrency 64]

Two endpoints on one Ray cluster ask the same replica; one of them has no log. wrk loads one at a
time, in pairs whose order alternates, and each run begins when the log has written everything. A
run's figure is good answers a second; a pair's is with the log by without it. Reported are the
median over pairs with its 95 % interval (order statistics, so that no shape is assumed), and the
CPU time of endpoint and log a request, which other processes on the machine disturb less.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import httpx
from scipy.stats import binom

from benchmarks.serving.models import Made, make
from benchmarks.serving.peers import ME, PROJECT
from benchmarks.serving.wrk import Request, Wrk, find_wrk
from modelyard.rollout.ray_serve import ServeClient, serve_config
from modelyard.rollout.routes import INGRESS_APP
from modelyard.settings import Settings
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, Variant
from tests.serving.cluster import cluster, free_ports, processes, wait_for_dashboard

UNLOGGED = "unlogged"
DRAIN_SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Side:
    """One endpoint and its processes."""

    url: str
    endpoint: int
    """Its process."""
    writer: int | None
    """The process of its log."""


@dataclass(frozen=True, slots=True)
class Run:
    """One stretch of load on one endpoint."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    endpoint_us: float
    """CPU time of the endpoint a request, in microseconds."""
    writer_us: float
    """CPU time of the log's process a request, up to when everything was written."""
    waiting: int
    """Predictions that were not written when the load ended."""


@contextmanager
def served(made: Made, settings: Settings) -> Iterator[tuple[Settings, str]]:
    """Serve a model behind two endpoints; gives the settings and the URL of the one without log."""
    variant = Variant(model=made.name, version=made.version, weight=1, role="champion")
    entry = LedgerEntry(
        model=made.name,
        action="deploy",
        before={},
        after={str(made.version): 1},
        reason="benchmark",
        by=ME.by,
    )
    with cluster(settings.home) as found:
        with open_store(found.database_url) as store:
            store.move(made.name, [variant], entry)
        wait_for_dashboard(found)
        [port] = free_ports(1)
        config = serve_config([variant], found)
        applications = config["applications"]
        assert isinstance(applications, list)
        [own] = [app for app in applications if app["name"] == INGRESS_APP]
        other = {
            **own,
            "name": UNLOGGED,
            "import_path": "benchmarks.watching.unlogged:build",
            "args": {"host": "127.0.0.1", "port": port},
        }
        with ServeClient(str(found.serve_api)) as client:
            client.put({**config, "applications": [*applications, other]})
            client.wait_running([app["name"] for app in (*applications, other)])
        yield found, f"http://127.0.0.1:{port}"


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in found for child in task.read_text().split()]


def writer_of(pid: int) -> int | None:
    """The process of an endpoint's log; it starts with the first prediction."""
    for child in children(pid):
        if b"log_process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return None


def cpu_seconds(pid: int | None) -> float:
    """The CPU time of a process so far."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def waiting(side: Side) -> int:
    """How many predictions the log has not written yet."""
    health = httpx.get(f"{side.url}/health", trust_env=False, timeout=30).json()
    if health["prediction_log"]["dropped"]:
        sys.exit("the log dropped predictions: the machine cannot write as fast as it answers")
    return int(health["prediction_log"]["queued"])


def drain(side: Side) -> None:
    """Wait until the log has written everything."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while waiting(side):
        if time.monotonic() > deadline:
            sys.exit("the log does not come to an end")
        time.sleep(0.2)


def run(side: Side, wrk: Wrk, body: Path, model: str, options: argparse.Namespace) -> Run:
    """Load one endpoint, and wait for its log."""
    before = cpu_seconds(side.endpoint), cpu_seconds(side.writer)
    request = Request(f"{side.url}/models/{model}/predict", body)
    measured = wrk.run(request, options.concurrency, options.seconds)
    endpoint = cpu_seconds(side.endpoint) - before[0]
    left = waiting(side)
    drain(side)
    answered = measured.requests - measured.failed
    return Run(
        rate=measured.rate,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        failed=measured.failed,
        endpoint_us=1e6 * endpoint / answered,
        writer_us=1e6 * (cpu_seconds(side.writer) - before[1]) / answered,
        waiting=left,
    )


def warmed(found: Settings, url: str, made: Made, wrk: Wrk, body: Path) -> tuple[Side, Side]:
    """Send first requests to both endpoints, and find their processes."""
    for base in (found.endpoint, url):
        wrk.run(Request(f"{base}/models/{made.name}/predict", body), 8, 3)
    ids = processes(found)
    [endpoint], [other] = ids[INGRESS_APP], ids[UNLOGGED]
    logged = Side(found.endpoint, endpoint, writer_of(endpoint))
    if logged.writer is None or writer_of(other) is not None:
        sys.exit("one endpoint should have a log, and the other none")
    return logged, Side(url, other, None)


def interval(ratios: list[float]) -> tuple[float, float]:
    """The 95 % interval of the median by order statistics (binomial, as of the sign test)."""
    ordered, count = sorted(ratios), len(ratios)
    cut = max(0, int(binom.ppf(0.025, count, 0.5)) - 1)
    return ordered[cut], ordered[count - 1 - cut]


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Run the pairs."""
    cache: Path = options.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    settings = Settings(project=PROJECT, MODELYARD_HOME=cache / "home")  # type: ignore[call-arg]
    [made] = make(settings, [options.model], lambda text: print(text, file=sys.stderr))
    wrk, body = find_wrk(cache), cache / "body.json"
    body.write_bytes(made.body())
    runs: list[tuple[Run, Run]] = []
    with served(made, settings) as (found, url):
        logged, bare = warmed(found, url, made, wrk, body)
        drain(logged)
        for turn in range(options.pairs):
            order = (logged, bare) if turn % 2 else (bare, logged)
            by = {side.url: run(side, wrk, body, made.name, options) for side in order}
            runs.append((by[logged.url], by[bare.url]))
            print(f"pair {turn + 1}: {ratio(runs[-1]):.3f}", file=sys.stderr)
    ratios = [ratio(pair) for pair in runs]
    return {
        "model": made.name,
        "concurrency": options.concurrency,
        "seconds": options.seconds,
        "ratio": median(ratios),
        "interval": interval(ratios),
        "with_log": summary([pair[0] for pair in runs]),
        "without": summary([pair[1] for pair in runs]),
        "pairs": [[asdict(one) for one in pair] for pair in runs],
    }


def ratio(pair: tuple[Run, Run]) -> float:
    """Throughput with the log, by that without."""
    return pair[0].rate / pair[1].rate


def summary(runs: list[Run]) -> dict[str, float]:
    """The medians of some runs."""
    rows = [asdict(one) for one in runs]
    return {name: round(median(row[name] for row in rows), 3) for name in rows[0]}


def show(found: dict[str, object]) -> None:
    """Print what came of it."""
    low, high = found["interval"]  # type: ignore[misc]
    print(f"{found['model']}, {found['concurrency']} connections, {found['seconds']} s a run")
    for name in ("with_log", "without"):
        print(f"{name:10}", found[name])
    print(f"throughput with the log by without: {found['ratio']:.3f} ({low:.3f} to {high:.3f})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--model", default="breast-cancer-mlp")
    parser.add_argument("--cache", type=Path, default=PROJECT / ".modelyard" / "benchmark-serving")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    print(json.dumps(found, indent=2)) if options.json else show(found)


if __name__ == "__main__":
    main()
