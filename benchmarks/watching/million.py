"""One million logged predictions in SQLite and in PostgreSQL: how long each question takes, and its memory.

python -m benchmarks.watching.million [--rows 1000000] [--engines sqlite,postgresql] [--folder DIR]

With a folder the SQLite file is kept and found again; PostgreSQL is started anew, and its rows are
written again. Each question is asked three times; shown are the slowest, the fastest, and the CPU time of
this process, which other work on the machine changes least.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.watching.plans import plans_of
from modelyard.explain import explained
from modelyard.monitoring.drift import compare
from modelyard.monitoring.window import read_window
from modelyard.settings import Settings
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import (
    AlertEvent,
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    Verdict,
)
from modelyard.store.predictions import Seen, Span
from modelyard.store.records import Label, PredictionRecord
from serving.traffic.alerts import known_of
from serving.traffic.watched import read_watched

MODEL = "loans"
COLUMNS = 10
BATCH = 5_000
CHECKS = 10_000
ALERTS = 200
OPEN_ALERTS = 5
LABEL_SHARE = 0.02
START = datetime(2026, 10, 1, tzinfo=UTC)
EACH = timedelta(seconds=2)
LIMIT_S = 1.0


def fill(store: Store, rows: int) -> float:
    """Write everything through the store as Modelyard does; return predictions a second."""
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    for first in range(0, rows, BATCH):
        store.log_predictions(_predictions(rng, first, min(BATCH, rows - first)))
    speed = rows / (time.perf_counter() - begun)
    chosen = rng.random(rows) < LABEL_SHARE
    labels = [
        Label(prediction=_id(number), output="repaid", value="yes" if number % 7 else "no")
        for number in np.flatnonzero(chosen)
    ]
    for first in range(0, len(labels), BATCH):
        store.save_labels(MODEL, labels[first : first + BATCH])
    _watched(store, rows)
    return speed


def _id(number: int) -> str:
    return f"{number:032x}"


def _predictions(rng: np.random.Generator, first: int, count: int) -> list[PredictionRecord]:
    values = rng.normal(size=(count, COLUMNS)).round(6).tolist()
    sure = rng.uniform(0.5, 1, count).round(6).tolist()
    return [
        PredictionRecord(
            id=_id(first + row),
            at=START + (first + row) * EACH,
            model=MODEL,
            version=2 if row % 10 == 0 else 1,
            request=_id(first + row),
            inputs={f"x{column}": value for column, value in enumerate(values[row])},
            outputs={"repaid": "yes" if row % 5 else "no"},
            probability={"repaid": sure[row]},
            latency_ms=1.5,
            phase="phase",
        )
        for row in range(count)
    ]


def _watched(store: Store, rows: int) -> None:
    """Drift checks, looks at performance, and alerts, spread over the same time."""
    span = rows * EACH
    for number in range(CHECKS):
        store.save_verdicts(_check(START + span * number / CHECKS, number))
    for number in range(CHECKS // 10):
        store.save_performance(_performance(START + span * number / (CHECKS // 10)))
    alerts = [_alert(START + span * number / ALERTS, number) for number in range(ALERTS)]
    events = [
        AlertEvent(alert=one.id, model=MODEL, change="opened", level=one.level) for one in alerts
    ]
    store.change_alerts(MODEL, lambda _open: (alerts, events))


def _check(at: datetime, number: int) -> DriftCheck:
    drifted = number % 25 == 0
    verdicts = tuple(
        Verdict(
            column=f"x{column}",
            kind="number",
            test="Kolmogorov-Smirnov",
            statistic=0.02,
            p_value=0.4,
            p_adjusted=0.8,
            effect=0.02,
            effect_name="KS distance",
            drifted=drifted and column == 0,
            measures={"psi": 0.01, "jensen_shannon": 0.002, "hellinger": 0.02},
            reference_rows=5_000,
            live_rows=1_000,
            reference_missing=0,
            live_missing=0,
        )
        for column in range(COLUMNS)
    )
    return DriftCheck(
        model=MODEL,
        version=1,
        window="1000",
        rows=1_000,
        at=at,
        first_at=at,
        last_at=at,
        reference_rows=5_000,
        alpha=0.05,
        correction="benjamini-hochberg",
        min_effect=0.1,
        drifted=drifted,
        verdicts=verdicts,
    )


def _performance(at: datetime) -> PerformanceCheck:
    metric = MetricVerdict(
        output="repaid",
        metric="accuracy",
        watched=True,
        rows=1_000,
        value=0.9,
        baseline=0.92,
        degradation=0.02,
    )
    return PerformanceCheck(
        model=MODEL,
        version=1,
        window="1000",
        rows=1_000,
        labelled=900,
        at=at,
        first_at=at,
        last_at=at,
        alpha=0.05,
        metrics=(metric,),
    )


def _alert(at: datetime, number: int) -> AlertRecord:
    is_open = number >= ALERTS - OPEN_ALERTS
    return AlertRecord(
        model=MODEL,
        version=1,
        kind="drift",
        subject=f"x{number}",
        level="critical",
        worst="critical",
        value=0.3,
        peak=0.3,
        windows=("1000",),
        reason=f"x{number}: KS distance 0.3",
        onset=at,
        opened=at,
        seen=at,
        ended=None if is_open else at + timedelta(hours=1),
    )


def questions(store: Store, rows: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is asked, and how."""
    reference = _reference()
    compare(reference, reference, MonitorSpec())  # scipy is imported once a process
    settings = Settings(MODELYARD_HOME=Path(tempfile.gettempdir()) / "modelyard-million-none")
    middle = _id(rows // 2)
    last_day = Span(since=START + rows * EACH - timedelta(days=1))
    yield "alerts of the endpoint", lambda: known_of(store, [MODEL])
    yield "open alerts", lambda: store.alerts(MODEL, open_only=True)
    yield "the last 10,000 seen", lambda: _seen(store, Span(10_000))
    yield "drift over the last 10,000", lambda: _drift(store, reference)
    yield "the last 1,000 labelled", lambda: sum(map(len, store.labelled(MODEL, 1, Span(1_000))))
    yield "100 drift checks with verdicts", lambda: store.verdicts(MODEL, 100)
    yield "100 looks at performance", lambda: store.performance(MODEL)
    yield "what was compared, for the page", lambda: store.drift_views(MODEL)
    one = {"version": 1, "window": "1000", "segment": ""}
    yield "100 checks of one window", lambda: store.verdicts(MODEL, 100, **one)
    yield "count all of a version", lambda: store.count_predictions(MODEL, 1, Span())
    yield "count the last day", lambda: store.count_predictions(MODEL, 1, last_day)
    yield "explain one prediction", lambda: explained(settings, store, middle, lambda *_: None)
    yield "what /metrics reads", lambda: read_watched(store, {MODEL: [1, 2]}, datetime.now(UTC))


def _seen(store: Store, span: Span) -> list[Seen]:
    return [one for batch in store.seen(MODEL, 1, span) for one in batch]


def _reference() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    names = [f"x{column}" for column in range(COLUMNS)]
    return pd.DataFrame(rng.normal(size=(5_000, COLUMNS)), columns=names)


def _drift(store: Store, reference: pd.DataFrame) -> int:
    window = read_window(store, MODEL, 1, Span(10_000), reference)
    return len(compare(reference, window.frame, MonitorSpec()))


def measure(ask: Callable[[], object], times: int = 3) -> tuple[float, float, float]:
    """Return the slowest and the fastest of some askings, and this process's CPU time, in seconds."""
    taken, busy = [], time.process_time()
    for _ in range(times):
        begun = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begun)
    return max(taken), min(taken), (time.process_time() - busy) / times


def stream(store: Store) -> str:
    """Read all predictions once and say how fast, and what it did to the memory."""
    before, most, count = _resident(), 0.0, 0
    begun = time.perf_counter()
    for batch in store.seen(MODEL, 1, Span()):
        count += len(batch)
        most = max(most, _resident())
    seconds = time.perf_counter() - begun
    del batch
    gc.collect()
    return (
        f"all {count:,} predictions of version 1 streamed in {seconds:.1f} s "
        f"({count / seconds:,.0f}/s); resident {before:.0f} MB before, {most:.0f} MB at most, "
        f"{_resident():.0f} MB after"
    )


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def plans(store: Store, rows: int) -> None:
    """Show how the engine finds what is asked."""
    for question, ask in questions(store, rows):
        for statement, lines in plans_of(store, ask):
            print(f"  {question}: {statement[:160]}")
            print("\n".join(f"      {line}" for line in lines))


@contextmanager
def engine(name: str, folder: Path) -> Iterator[str]:
    """Give a database's URL for the block."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'million.db'}"
        return
    import psycopg

    from tests.store.postgres import dsn, running_postgres

    with running_postgres(fsync="on") as server:
        database = f"million_{secrets.token_hex(3)}"
        with psycopg.connect(dsn(server), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
        yield server.set(database=database).render_as_string(hide_password=False)


def report(name: str, folder: Path, rows: int, *, show_plans: bool) -> bool:
    """Fill one engine, ask it everything, and say whether all came within the limit."""
    with engine(name, folder) as url, open_store(url) as store:
        if store.count_predictions(MODEL, 1, Span()) == 0:
            print(f"\n{name}: {fill(store, rows):,.0f} predictions a second written")
            _analyse(url)
        print(f"| question ({name}) | slowest s | fastest s | CPU s |\n|---|---|---|---|")
        within = True
        for question, ask in questions(store, rows):
            slowest, fastest, busy = measure(ask)
            within &= slowest < LIMIT_S
            print(f"| {question} | {slowest:.3f} | {fastest:.3f} | {busy:.3f} |", flush=True)
        print(stream(store))
        if show_plans:
            plans(store, rows)
    return within


def _analyse(url: str) -> None:
    """PostgreSQL's autovacuum would do so within a minute; SQLite needs it never."""
    if url.startswith("postgresql"):
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


def machine() -> str:
    """Say what measured."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    commit = done.stdout.strip()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, {commit}"


def main() -> int:
    """Measure each engine; 1 if a question took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--engines", default="sqlite,postgresql")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plans", action="store_true", help="show the engines' plans too")
    given: Any = parser.parse_args()
    print(machine())
    kept = nullcontext(given.folder) if given.folder else tempfile.TemporaryDirectory()
    with kept as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        done = [
            report(name, Path(folder), given.rows, show_plans=given.plans)
            for name in given.engines.split(",")
        ]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
