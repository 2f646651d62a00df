"""Verdicts from sketches against verdicts from rows, on the same windows at the same thresholds.

Windows of ten mixed columns (see populations.py), one third without drift, two thirds with some of
every size around the thresholds, so that many verdicts are close. Run it so:

    .venv/bin/python benchmarks/watching/sketches.py [--windows 300] [--rows 25000] [--json FILE]

A window agrees if the same columns drifted by both. Each that does not is printed with what both
measured and how far that is from the threshold. Three tables: as it is by default, by significance
alone (`min_effect` 0), and the same on windows without drift only, which compares false alarms.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from populations import REFERENCE, mixed

from modelyard.monitoring.drift import compare, drifted
from modelyard.monitoring.profile import profile_frame, sketches
from modelyard.monitoring.sketches import compare_sketches
from modelyard.spec.monitor import MonitorSpec
from modelyard.store.monitoring_records import Verdict

COLUMNS: Final = 10
DEFAULT: Final = MonitorSpec()
ANY_EFFECT: Final = MonitorSpec(min_effect=0)
REQUIRED: Final = 0.99
THIRDS: Final = 3


@dataclass(frozen=True, slots=True)
class Window:
    """What both ways said of one window."""

    number: int
    changed: bool
    default: tuple[tuple[str, ...], tuple[str, ...]]
    any_effect: tuple[tuple[str, ...], tuple[str, ...]]
    differences: tuple[str, ...]
    effect_off: float
    """The largest difference of an effect between both."""


def change(random: np.random.Generator, live: pd.DataFrame) -> None:
    """Change three columns by something around the thresholds."""
    for name in random.choice(["m0", "m1", "m4", "m6", "m7", "m8"], THIRDS, replace=False):
        size = random.uniform(0, 0.5)
        if name in {"m6", "m7"}:
            moved = (live[name] == "a").to_numpy() & (random.random(len(live)) < size)
            live[name] = live[name].mask(moved, "b")
        elif name == "m4":
            live[name] += random.random(len(live)) < size
        else:
            live[name] += size


def look(number: int, rows: int) -> Window:
    """Judge one window by its rows and by its sketches."""
    random = np.random.default_rng([number, rows])
    reference, live = mixed(random, REFERENCE, COLUMNS), mixed(random, rows, COLUMNS)
    changed = number % THIRDS > 0
    if changed:
        change(random, live)
    seen = sketches(profile_frame(live))
    found = [
        (compare(reference, live, monitor), compare_sketches(reference, seen, monitor))
        for monitor in (DEFAULT, ANY_EFFECT)
    ]
    named = [(_names(exact), _names(sketched)) for exact, sketched in found]
    exact, sketched = ({(v.column, v.kind): v for v in one} for one in found[1])
    off = max(abs(exact[key].effect - sketched[key].effect) for key in exact)
    return Window(number, changed, named[0], named[1], tuple(_told(*found[0])), off)


def _names(verdicts: list[Verdict]) -> tuple[str, ...]:
    return tuple(sorted(drifted(verdicts)))


def _told(exact: list[Verdict], sketched: list[Verdict]) -> Iterator[str]:
    by_question = {(verdict.column, verdict.kind): verdict for verdict in sketched}
    for verdict in exact:
        other = by_question[verdict.column, verdict.kind]
        if verdict.drifted != other.drifted:
            yield (
                f"{verdict.column} ({verdict.kind}): effect {verdict.effect:.4f} by rows, "
                f"{other.effect:.4f} by sketches; p {verdict.p_adjusted:.2g}, {other.p_adjusted:.2g}"
            )


def agreement(what: str, pairs: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> float:
    """Print how many windows agree, and how many each way calls drifted; return the share."""
    same = sum(exact == sketched for exact, sketched in pairs)
    alarms = [sum(bool(pair[side]) for pair in pairs) for side in (0, 1)]
    share = same / len(pairs) if pairs else 1.0
    print(f"| {what} | {len(pairs)} | {share:.1%} | {alarms[0]} | {alarms[1]} |")
    return share


def main() -> int:
    """Print the tables; exit with 1 if fewer than 99 % of windows agree by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--rows", type=int, nargs="*", default=[25_000, 100_000])
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    worst, report = 1.0, {}
    for rows in options.rows:
        with ProcessPoolExecutor(options.processes) as pool:
            found = list(pool.map(look, range(options.windows), [rows] * options.windows))
        print(
            f"\n{rows:,} rows\n\n| thresholds | windows | agree | drifted by rows | by sketches |"
        )
        print("|---|---|---|---|---|")
        worst = min(worst, agreement("default", [one.default for one in found]))
        agreement("any effect", [one.any_effect for one in found])
        calm = [one.any_effect for one in found if not one.changed]
        agreement("any effect, without drift", calm)
        off = [one.effect_off for one in found]
        print(
            f"\nlargest difference of an effect: median {np.median(off):.4f}, at most {max(off):.4f}"
        )
        for one in found:
            for difference in one.differences:
                print(f"window {one.number}: {difference}")
        report[rows] = [asdict(one) for one in found]
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    return 0 if worst >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
