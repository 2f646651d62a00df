"""Measure serving against others: `python -m benchmarks.serving --seconds 2`.

All servers run at once and are measured in turn, in several rounds, so that what else the machine
does meets all of them; figures are the medians of the rounds. Runs unattended: what is missing is
made or unpacked into the cache, and a server that does not start is left out and named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.serving.logged import count, logged
from benchmarks.serving.models import SPECS, make, raw_rates
from benchmarks.serving.peers import ALL, MODELYARD, PROJECT, Running, running
from benchmarks.serving.report import Cell, Results, markdown
from benchmarks.serving.wrk import Measured, Wrk, find_wrk
from modelyard.settings import Settings

CONCURRENCY = (1, 8, 64)
WARM_SECONDS = 1.0


def main() -> None:
    """Run the benchmark and print its table."""
    options = _options()
    cache: Path = options.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    settings = Settings(project=PROJECT, MODELYARD_HOME=cache / "home")
    begun = time.monotonic()
    wrk = find_wrk(cache)
    models = make(settings, options.models, _say)
    before = count(settings)
    raw = {made.name: raw_rates(made) for made in models}
    with running(options.only, models, settings, cache, _say) as servers:
        cells = _measure(servers, wrk, options)
        log = None if servers.modelyard is None else logged(servers.modelyard, _sent(cells), before)
    results = Results(cells, raw, log, round(time.monotonic() - begun))
    (cache / "results.json").write_text(json.dumps(results.document(), indent=2))
    print(markdown(results))
    _say(f"figures in {cache / 'results.json'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, nargs="+", default=CONCURRENCY)
    parser.add_argument("--models", nargs="+", default=SPECS, help="specs with one row a request")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, help="which servers")
    parser.add_argument("--cache", type=Path, default=PROJECT / ".modelyard" / "benchmark-serving")
    return parser.parse_args()


def _measure(servers: Running, wrk: Wrk, options: argparse.Namespace) -> list[Cell]:
    """Measure all servers in rounds; the first, short, run of each counts for nothing but the log."""
    found: dict[tuple[str, str, int], list[Measured]] = {}
    warm: dict[tuple[str, str, int], int] = {}
    for turn in range(options.rounds + 1):
        _say(f"round {turn} of {options.rounds}" if turn else "warming up")
        for concurrency in options.concurrency:
            for (server, model), request in servers.requests.items():
                key = (server, model, concurrency)
                seconds = options.seconds if turn else WARM_SECONDS
                if not turn and concurrency != max(options.concurrency):
                    continue
                measured = wrk.run(request, concurrency, seconds)
                if turn:
                    found.setdefault(key, []).append(measured)
                else:
                    warm[key] = measured.requests - measured.failed
    return [
        Cell(
            server=server,
            model=model,
            concurrency=concurrency,
            rate=median(run.rate for run in runs),
            p50_ms=median(run.p50_ms for run in runs),
            p99_ms=median(run.p99_ms for run in runs),
            failed=sum(run.failed for run in runs),
            answered=sum(run.requests - run.failed for run in runs)
            + warm.get((server, model, concurrency), 0),
        )
        for (server, model, concurrency), runs in found.items()
    ]


def _sent(cells: list[Cell]) -> int:
    return sum(cell.answered for cell in cells if cell.server == MODELYARD)


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
