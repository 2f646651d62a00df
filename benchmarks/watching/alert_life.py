"""How many alerts a stream of looks makes, and how late they open and end.

Ten columns of normal numbers, 200 new predictions a look (an hour), windows of 1,000, 10,000 and
all, default tests and levels. `steady` never drifts, so that each alert is false; in `shifted` one
column moves by so many standard deviations for 100 looks and then comes back. Run it so:

    .venv/bin/python benchmarks/watching/alert_life.py [--streams 10] [--looks 300] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from modelyard.monitoring.alerts.levels import drift_findings
from modelyard.monitoring.alerts.lifecycle import Look, decide
from modelyard.monitoring.drift import findings
from modelyard.monitoring.findings import verdicts
from modelyard.spec.monitor import MonitorSpec
from modelyard.store.monitoring_records import AlertEvent, AlertRecord, DriftCheck

COLUMNS: Final = [f"x{number}" for number in range(10)]
A_LOOK: Final = 200
REFERENCE: Final = 5_000
FROM, UNTIL = 60, 160
START: Final = datetime(2026, 11, 1, tzinfo=UTC)
MONITOR: Final = MonitorSpec()


@dataclass(slots=True)
class Story:
    """What became of one kind of stream."""

    shift: float
    looks: int = 0
    alerts: int = 0
    false_alerts: int = 0
    events: int = 0
    flapping: int = 0
    """Alerts of the drifted column beyond the first."""
    missed: int = 0
    opened_after: list[int] = field(default_factory=list)
    """Predictions from the change to the alert."""
    ended_after: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Kept:
    """The alerts of one stream."""

    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    events: list[tuple[int, AlertEvent]] = field(default_factory=list)


def stream(shift: float, looks: int, seed: int) -> Kept:
    """Follow one stream."""
    random = np.random.default_rng(seed)
    reference = pd.DataFrame(random.normal(size=(REFERENCE, len(COLUMNS))), columns=COLUMNS)
    rows = np.empty((0, len(COLUMNS)))
    kept = Kept()
    for number in range(looks):
        new = random.normal(size=(A_LOOK, len(COLUMNS)))
        if FROM <= number < UNTIL:
            new[:, 0] += shift
        rows = np.concatenate([rows, new])
        checks = [check(reference, rows, window) for window in (1_000, 10_000, None)]
        look = Look(
            model="stream",
            at=at(len(rows)),
            served=frozenset({1}),
            findings=[one for found in checks for one in drift_findings(found, MONITOR)],
            monitor=MONITOR,
            segments={1: frozenset({""})},
        )
        known = [one for one in kept.alerts.values() if one.ended is None]
        ended = [one for one in kept.alerts.values() if one.ended is not None]
        alerts, events = decide(known, ended, look)
        kept.alerts.update({one.id: one for one in alerts})
        kept.events += [(number, event) for event in events]
    return kept


def check(reference: pd.DataFrame, rows: np.ndarray, window: int | None) -> DriftCheck:
    """Compare the last rows with the reference."""
    seen = rows if window is None else rows[-window:]
    live = pd.DataFrame(seen, columns=COLUMNS)
    found = verdicts(findings(reference, live, MONITOR.tests, measured=False), MONITOR)
    return DriftCheck(
        model="stream",
        version=1,
        window="all" if window is None else str(window),
        rows=len(seen),
        first_at=at(len(rows) - len(seen)),
        last_at=at(len(rows)),
        reference_rows=len(reference),
        alpha=MONITOR.alpha,
        correction=MONITOR.correction,
        min_effect=MONITOR.min_effect,
        drifted=any(one.drifted for one in found),
        verdicts=tuple(found),
    )


def at(row: int) -> datetime:
    """When a prediction was answered."""
    return START + row * timedelta(hours=1) / A_LOOK


def tell(shift: float, streams: int, looks: int) -> Story:
    """Follow many streams of one kind."""
    story = Story(shift)
    for seed in range(streams):
        kept = stream(shift, looks, seed)
        true = [one for one in kept.alerts.values() if shift and one.subject == "x0"]
        story.looks += looks
        story.alerts += len(kept.alerts)
        story.false_alerts += len(kept.alerts) - len(true)
        story.events += len(kept.events)
        story.flapping += max(0, len(true) - 1)
        story.missed += bool(shift) and not true
        opened = [number for number, event in kept.events if _is(event, true, "opened")]
        ended = [number for number, event in kept.events if _is(event, true, "ended")]
        story.opened_after += [(min(opened) - FROM + 1) * A_LOOK] if opened else []
        story.ended_after += [(max(ended) - UNTIL + 1) * A_LOOK] if ended else []
    return story


def _is(event: AlertEvent, alerts: list[AlertRecord], change: str) -> bool:
    return event.change == change and any(one.id == event.alert for one in alerts)


def main() -> None:
    """Tell the stories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--looks", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    began = time.perf_counter()
    stories = [tell(shift, asked.streams, asked.looks) for shift in (0.0, 0.3, 0.5, 1.0)]
    if asked.json:
        json.dump([asdict(one) for one in stories], sys.stdout, indent=2)
        return
    for one in stories:
        middle = [
            f"{np.median(some):,.0f}" if some else "-"
            for some in (one.opened_after, one.ended_after)
        ]
        sys.stdout.write(
            f"shift {one.shift:3.1f} sd: {one.looks:,} looks, {one.alerts} alerts"
            f" ({one.false_alerts} false, {one.flapping} repeated), {one.events} events,"
            f" {one.missed} missed; opens after {middle[0]} predictions (median), ends after {middle[1]}\n"
        )
    sys.stdout.write(f"{time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
