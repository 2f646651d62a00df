"""How often drift is found, how large it measures, and when it is said to have begun.

Ten columns of which one drifts; the reference has 5,000 rows and is drawn anew for each window. A
window counts as detected if the drifted column is among those that are called drifted. Run it so:

    .venv/bin/python benchmarks/watching/power.py [--windows 200] [--rows 1000] [--json FILE]

Numbers: the mean is shifted by so many standard deviations. Categories: so much of the most
frequent category's share goes to the others (which is the total variation). Embeddings: 16 numbers
of which one is shifted. For each test the power by default (`min_effect` 0.1) and with any effect
is shown, and the median of the effect: it tells which `min_effect` suits the test. Onsets: the
change is planted in the middle of the window.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from populations import REFERENCE, categorical, numeric
from scipy import stats

from modelyard.monitoring.drift import findings
from modelyard.monitoring.findings import verdicts
from modelyard.monitoring.onset import codes_of_numbers, onset
from modelyard.spec.monitor import MonitorSpec

COLUMNS: Final = 10
WIDE: Final = 16
SHIFTS: Final = (0.1, 0.2, 0.3, 0.5, 1.0)
MOVED: Final = (0.05, 0.1, 0.15, 0.2)
TESTS: Final = {
    "number": ("ks", "z", "wasserstein", "psi", "jensen-shannon", "kl", "hellinger"),
    "category": ("chi-square", "psi", "jensen-shannon", "kl", "hellinger"),
    "embedding": ("mmd", "classifier"),
}
REQUIRED: Final = 0.95

type Frames = tuple[pd.DataFrame, pd.DataFrame, tuple[pd.DataFrame, pd.DataFrame] | None]
type Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Power:
    """What one test made of drift of one size."""

    kind: str
    test: str
    size: float
    windows: int
    by_default: int
    any_effect: int
    effect: float


def number(random: Random, rows: int, shift: float) -> Frames:
    """Shift the mean of the first column."""
    live = numeric(random, rows, COLUMNS)
    live["x0"] += shift
    return numeric(random, REFERENCE, COLUMNS), live, None


def category(random: Random, rows: int, moved: float) -> Frames:
    """Let the most frequent category of the first column lose so much to the second."""
    live = categorical(random, rows, COLUMNS)
    often = (live["c0"] == "a").to_numpy() & (random.random(rows) < moved / 0.4)
    live["c0"] = live["c0"].mask(often, "b")
    return categorical(random, REFERENCE, COLUMNS), live, None


def embedding(random: Random, rows: int, shift: float) -> Frames:
    """Shift one of sixteen numbers; nine other columns are tested beside it."""
    names = [f"embedding.{axis}" for axis in range(WIDE)]
    known, seen = (
        pd.DataFrame(random.normal(size=(size, WIDE)), columns=names) for size in (REFERENCE, rows)
    )
    seen["embedding.0"] += shift
    others = COLUMNS - 1
    return numeric(random, REFERENCE, others), numeric(random, rows, others), (known, seen)


DRAWS: Final[dict[str, Callable[[Random, int, float], Frames]]] = {
    "number": number,
    "category": category,
    "embedding": embedding,
}
DRIFTING: Final = {"number": "x0", "category": "c0", "embedding": "embedding"}


def measure(kind: str, test: str, size: float, windows: int, rows: int) -> Power:
    """Look at so many windows that drifted by one size."""
    random = np.random.default_rng([rows, round(1000 * size)])
    default, anything = (
        MonitorSpec.model_validate({"tests": {kind: test}, **more})
        for more in ({}, {"min_effect": 0})
    )
    hits, effects = [0, 0], []
    for _ in range(windows):
        reference, live, outputs = DRAWS[kind](random, rows, size)
        found = list(findings(reference, live, default.tests, outputs, measured=False))
        for place, monitor in enumerate((default, anything)):
            verdict = next(v for v in verdicts(found, monitor) if v.column == DRIFTING[kind])
            hits[place] += verdict.drifted
        effects.append(verdict.effect)
    return Power(kind, test, size, windows, hits[0], hits[1], float(np.median(effects)))


def onsets(windows: int, rows: int) -> Iterator[tuple[float, float, float]]:
    """Yield a planted shift, and the median and the 90 % quantile of the rows its date is off."""
    random = np.random.default_rng(rows)
    for shift in (*SHIFTS[1:], 2.0):
        missed = []
        for _ in range(windows):
            live = random.normal(size=rows)
            live[rows // 2 :] += shift
            codes = codes_of_numbers(random.normal(size=REFERENCE), live)
            missed.append(abs(onset(*codes) - rows // 2))
        yield shift, float(np.median(missed)), float(np.quantile(missed, 0.9))


def _share(hits: int, windows: int) -> str:
    low = float(stats.binomtest(hits, windows).proportion_ci(0.95, method="exact").low)
    return f"{hits / windows:.1%} (>= {low:.1%})"


def show(found: list[Power]) -> None:
    """Print the curves."""
    print("| kind | test | size | detected by default | with any effect | median effect |")
    print("|---|---|---|---|---|---|")
    for one in found:
        by_default, any_effect = (
            _share(hits, one.windows) for hits in (one.by_default, one.any_effect)
        )
        print(
            f"| {one.kind} | {one.test} | {one.size} | {by_default} | {any_effect} | {one.effect:.3f} |"
        )


def main() -> int:
    """Print the curves; exit with 1 if a shift of 0.3 in a window of 1,000 is missed too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--kinds", nargs="*", default=list(TESTS), choices=TESTS)
    parser.add_argument("--tests", nargs="*")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    asked = [
        (kind, test, size)
        for kind in options.kinds
        for test in TESTS[kind]
        if not options.tests or test in options.tests
        for size in (MOVED if kind == "category" else SHIFTS)
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        fixed = (itertools.repeat(options.windows), itertools.repeat(options.rows))
        found = list(pool.map(measure, *zip(*asked, strict=True), *fixed))
    show(found)
    print("\n| shift | onset off by, median rows | 90 % |\n|---|---|---|")
    dates = list(onsets(options.windows, options.rows))
    for shift, middle, most in dates:
        print(f"| {shift} | {middle:.0f} | {most:.0f} |")
    if options.json:
        document = {"power": [asdict(one) for one in found], "onsets": dates}
        options.json.write_text(json.dumps(document, indent=2))
    promised = [one for one in found if (one.test, one.size) == ("ks", 0.3)]
    return 0 if all(one.by_default >= REQUIRED * one.windows for one in promised) else 1


if __name__ == "__main__":
    sys.exit(main())
