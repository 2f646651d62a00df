"""How fast inputs are profiled and tested on one core, beside plain whylogs and Evidently.

    .venv/bin/python -m benchmarks.watching.profiling [--rows 10000] [--rounds 5] [--evidently PYTHON]

All read the same tables of 20 columns: normal numbers (one in ten missing in half of them) and
words of 4 to 50 kinds. Evidently is installed into a virtual environment in the cache, unless a
Python that has it is named; without either the script says so and measures the rest. Everything
runs on one core, in rounds; figures are medians of CPU time, so that other processes do not count.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # read by libraries when they are imported

import argparse  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402
from statistics import median  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from modelyard.errors import MonitoringError  # noqa: E402
from modelyard.monitoring.drift import compare  # noqa: E402
from modelyard.monitoring.live import live_frame  # noqa: E402
from modelyard.monitoring.profile import Profile, _whylogs, profile_frame, sketches  # noqa: E402
from modelyard.monitoring.sketches import compare_sketches  # noqa: E402
from modelyard.spec.models import MonitorSpec  # noqa: E402
from modelyard.store.records import PredictionRecord  # noqa: E402

PROJECT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("evidently_report.py")
REFERENCE_ROWS = 5_000
BATCH = 5_000
ROW_BY_ROW = 100
PACKAGES = ("evidently==0.7.23", "pandas<3", "pyarrow")


def table(rows: int, random: np.random.Generator) -> pd.DataFrame:
    """Draw ten columns of numbers and ten of words."""
    columns: dict[str, object] = {}
    for number in range(10):
        values = random.normal(number, 1 + number, rows)
        if number % 2:
            values[random.random(rows) < 0.1] = np.nan  # noqa: PLR2004 - one in ten
        columns[f"number{number}"] = values
        kinds = np.array([f"kind{kind}" for kind in range(4 + 5 * number)], dtype="object")
        columns[f"word{number}"] = random.choice(kinds, rows)
    return pd.DataFrame(columns)


def records_of(frame: pd.DataFrame) -> list[PredictionRecord]:
    """Make a logged prediction of each row, as the log's process has them."""
    now = datetime.now(UTC)
    rows = frame.astype("object").where(frame.notna(), None).to_dict("records")
    return [
        PredictionRecord(
            id=f"{number:032x}",
            at=now,
            model="m",
            version=1,
            request="r",
            inputs={str(name): value for name, value in row.items()},
            outputs={"y": "a"},
            probability={"y": 0.9},
            latency_ms=1.0,
        )
        for number, row in enumerate(rows)
    ]


def in_batches(frame: pd.DataFrame) -> None:
    """Profile a table as it comes."""
    profile = Profile()
    for start in range(0, len(frame), BATCH):
        profile.track(frame.iloc[start : start + BATCH])
    profile.to_bytes()


def logged(records: list[PredictionRecord]) -> None:
    """Profile predictions as the log does: a table of each batch is made first."""
    profile = Profile()
    for start in range(0, len(records), BATCH):
        profile.track(live_frame(records[start : start + BATCH]))
    profile.to_bytes()


def row_by_row(frame: pd.DataFrame) -> None:
    """Let whylogs log each row by itself, as its documentation begins."""
    import whylogs as why

    for row in frame.to_dict("records"):
        why.log(row={str(name): value for name, value in row.items()})


def ways(
    reference: pd.DataFrame, window: pd.DataFrame
) -> dict[str, tuple[int, Callable[[], object]]]:
    """What is measured: how many values it reads of the window, and the work."""
    monitor, few = MonitorSpec(), window.head(ROW_BY_ROW)
    records, seen = records_of(window), sketches(profile_frame(window))
    _whylogs()

    def all_of_it() -> None:
        in_batches(window)
        compare(reference, window, monitor)

    return {
        "profile, tables": (window.size, lambda: in_batches(window)),
        "profile, logged predictions": (window.size, lambda: logged(records)),
        "tests, rows": (window.size, lambda: compare(reference, window, monitor)),
        "tests, sketches": (window.size, lambda: compare_sketches(reference, seen, monitor)),
        "profile and tests": (window.size, all_of_it),
        "whylogs, why.log(row=...)": (few.size, lambda: row_by_row(few)),
    }


def seconds_of(work: Callable[[], object]) -> float:
    """The CPU time of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def evidently_python(options: argparse.Namespace) -> Path | None:
    """Return a Python that has Evidently: the one that is named, or one that is made; None if not."""
    if options.evidently is not None:
        return Path(options.evidently)
    folder = options.cache / "evidently"
    python, done = folder / "bin" / "python", folder / "done"
    try:
        if not done.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run(
                [uv, "venv", "-q", "--clear", "--python", sys.executable, folder], check=True
            )
            install = [uv, "pip", "install", "-q", "--python", str(python), *PACKAGES]
            subprocess.run(install, check=True)
            done.touch()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"Evidently cannot be had: {error}", file=sys.stderr)
        return None
    return python


def evidently(
    options: argparse.Namespace, reference: pd.DataFrame, window: pd.DataFrame
) -> dict[str, object] | None:
    """Let Evidently make its drift report of the same tables."""
    python = evidently_python(options)
    if python is None:
        return None
    files = [options.cache / "reference.parquet", options.cache / "window.parquet"]
    options.cache.mkdir(parents=True, exist_ok=True)
    for frame, file in zip((reference, window), files, strict=True):
        frame.to_parquet(file, index=False)
    command = [str(python), str(SCRIPT), *map(str, files), str(options.rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"Evidently failed: {done.stderr[-500:]}", file=sys.stderr)
        return None
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Measure every way in rounds, so that what else the machine does meets all of them."""
    random = np.random.default_rng(11)
    reference, window = table(REFERENCE_ROWS, random), table(options.rows, random)
    work = ways(reference, window)
    spent: dict[str, list[float]] = {way: [] for way in work}
    for turn in range(options.rounds + 1):
        for way, (_, run) in work.items():
            seconds = seconds_of(run)
            if turn:
                spent[way].append(seconds)
    found: dict[str, object] = {
        "rows": len(window),
        "columns": len(window.columns),
        "values_per_second": {
            way: round(work[way][0] / median(seconds)) for way, seconds in spent.items()
        },
    }
    theirs = evidently(options, reference, window)
    if theirs is not None:
        found["evidently_version"] = theirs["version"]
        rates = found["values_per_second"]
        assert isinstance(rates, dict)
        assert isinstance(theirs["seconds"], list)
        rates["Evidently's report"] = round(window.size / median(theirs["seconds"]))
    return found


def show(found: dict[str, object]) -> None:
    """Print the rates, and how they stand to profiling and testing here."""
    rates = found["values_per_second"]
    assert isinstance(rates, dict)
    ours = rates["profile and tests"]
    print(f"{found['rows']} rows of {found['columns']} columns, one core\n")
    print(f"{'way':32}{'values/s':>12}{'profile and tests is':>24}")
    for way, rate in rates.items():
        print(f"{way:32}{rate:12,}{f'{ours / rate:.1f} times as fast':>24}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--evidently", help="a Python that has Evidently")
    parser.add_argument("--cache", type=Path, default=PROJECT / ".modelyard" / "benchmark-watching")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        # Children inherit it, so Evidently has one core too.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        found = measure(options)
    except MonitoringError as error:
        sys.exit(str(error))
    print(json.dumps(found, indent=2)) if options.json else show(found)


if __name__ == "__main__":
    main()
