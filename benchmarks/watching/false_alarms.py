"""How often a window without drift raises an alarm, counted over thousands of them.

Reference and window come from one population, so that each alarm is false. The reference is drawn
anew for each window: against one reference all windows would err together. Run it so:

    .venv/bin/python benchmarks/watching/false_alarms.py [--windows 1000] [--processes 2] [--json]

Four rates a row: for both corrections the share of windows with any significant column
(`min_effect` off: that is what alpha promises), and the share with any drifted column by default
(an effect of 0.1 at least). The interval is that of 95 % of Clopper and Pearson (1934), for each rate by itself: where the
rate is alpha, one interval in forty lies above it. So what fails the benchmark is a binomial test of
each rate against alpha, corrected for how many there are (Bonferroni).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

# The processes are as many as the cores; more threads in each would be in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from populations import POPULATIONS, REFERENCE
from scipy import stats

from modelyard.monitoring.drift import findings
from modelyard.monitoring.findings import each_once
from modelyard.monitoring.statistics import correct
from modelyard.spec.monitor import MonitorSpec

METHODS: Final = ("benjamini-hochberg", "bonferroni")
COLUMNS: Final = (10, 100)
SIZES: Final = (200, 1_000, 10_000)
PIECE: Final = 50
SURE: Final = 0.05


class Cell(NamedTuple):
    """One row of the table."""

    population: str
    columns: int
    rows: int


@dataclass(slots=True)
class Alarms:
    """False alarms of one cell, by correction: significant ones, and those that are large too."""

    windows: int
    significant: dict[str, int]
    drifted: dict[str, int]
    seconds: float

    def add(self, other: Alarms) -> None:
        """Count those of other windows too."""
        self.windows += other.windows
        self.seconds += other.seconds
        for method in METHODS:
            self.significant[method] += other.significant[method]
            self.drifted[method] += other.drifted[method]


def none() -> Alarms:
    """No windows yet."""
    return Alarms(0, dict.fromkeys(METHODS, 0), dict.fromkeys(METHODS, 0), 0.0)


def count(cell: Cell, windows: int, seed: int, monitor: MonitorSpec) -> Alarms:
    """Look at so many windows without drift, as the product does."""
    begun = time.process_time()
    random = np.random.default_rng([seed, cell.columns, cell.rows, *cell.population.encode()])
    draw, alarms = POPULATIONS[cell.population], none()
    for _ in range(windows):
        reference = draw(random, REFERENCE, cell.columns)
        live = draw(random, cell.rows, cell.columns)
        found = each_once(findings(reference, live, monitor.tests, measured=False))
        tested = [one.tested for one in found if one.tested is not None]
        large = np.array([one.effect >= monitor.min_effect for one in tested])
        for method in METHODS:
            significant = np.array(correct([one.p_value for one in tested], method))
            sure = significant <= monitor.alpha
            alarms.significant[method] += bool(sure.any())
            alarms.drifted[method] += bool((sure & large).any())
    alarms.windows, alarms.seconds = windows, time.process_time() - begun
    return alarms


def measure(
    cells: Sequence[Cell], windows: int, processes: int, monitor: MonitorSpec
) -> dict[Cell, Alarms]:
    """Look at so many windows of each cell, in pieces, on all processes."""
    pieces = [
        (cell, min(PIECE, windows - start), start)
        for cell in cells
        for start in range(0, windows, PIECE)
    ]
    found = {cell: none() for cell in cells}
    with ProcessPoolExecutor(processes) as pool:
        for (cell, _, _), alarms in zip(
            pieces,
            pool.map(count, *zip(*pieces, strict=True), itertools.repeat(monitor)),
            strict=True,
        ):
            found[cell].add(alarms)
    return found


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    found = stats.binomtest(hits, trials).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def table(found: dict[Cell, Alarms]) -> Iterator[str]:
    """Write one row a cell."""
    yield f"| population | columns | window | {' | '.join(METHODS)} | with min_effect: {' | '.join(METHODS)} |"
    yield "|---|---|---|---|---|---|---|"
    for cell, alarms in found.items():
        rates = [
            _rate(hits[method], alarms.windows)
            for hits in (alarms.significant, alarms.drifted)
            for method in METHODS
        ]
        yield f"| {cell.population} | {cell.columns} | {cell.rows:,} | {' | '.join(rates)} |"


def _rate(hits: int, trials: int) -> str:
    low, high = interval(hits, trials)
    return f"{hits / trials:.1%} ({low:.1%} to {high:.1%})"


def broken(found: dict[Cell, Alarms], alpha: float) -> list[str]:
    """Say where the rate is surely above alpha: one-sided binomial tests of all cells, corrected."""
    asked = [
        (cell, method, hits, alarms.windows)
        for cell, alarms in found.items()
        for method, hits in alarms.significant.items()
    ]
    chances = [float(stats.binom.sf(hits - 1, trials, alpha)) for _, _, hits, trials in asked]
    adjusted = correct(chances, "bonferroni")
    return [
        f"{cell.population}, {cell.columns} columns, {cell.rows:,} rows, {method}: p {p_value:.2g}"
        for (cell, method, _, _), p_value in zip(asked, adjusted, strict=True)
        if p_value <= SURE
    ]


def main() -> int:
    """Run the grid and print it; exit with 1 if a rate is surely above alpha."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--populations", nargs="*", default=list(POPULATIONS), choices=POPULATIONS)
    parser.add_argument("--columns", nargs="*", type=int, default=COLUMNS)
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cells = [
        Cell(*one) for one in itertools.product(options.populations, options.columns, options.sizes)
    ]
    begun = time.perf_counter()
    monitor = MonitorSpec()
    found = measure(cells, options.windows, options.processes, monitor)
    seconds = time.perf_counter() - begun
    if options.json:
        rows = [{**cell._asdict(), **asdict(alarms)} for cell, alarms in found.items()]
        print(json.dumps({"seconds": seconds, "alpha": monitor.alpha, "cells": rows}, indent=2))
    else:
        print("\n".join(table(found)))
        print(
            f"\n{options.windows:,} windows a row, {seconds:.0f} s on {options.processes} processes"
        )
    above = broken(found, monitor.alpha)
    print("\n".join(above) or "no rate is surely above alpha", file=sys.stderr)
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
