"""Real drift: the New South Wales electricity market, and the same rows in an order without time.

Elec2 (Harries 1999) has a row for each half hour from 7 May 1996 to 5 December 1998. On 5 May 1997,
row 17,424, the market of Victoria joined: until then the columns of Victoria have no values of
their own (one constant fills them), from then on they do. That is when they must drift, and not
before. New South Wales' own price and demand move with the seasons throughout; what is found there
is told apart. The control has the same rows shuffled, so that nothing changes in time: any alarm
there is false. Run it so:

    .venv/bin/python benchmarks/watching/real_drift.py [--windows 1000] [--step 50] [--data FILE]

The data ship inside the PyPI package scikit-multiflow 0.4.1 (BSD-3; the data's own terms are not
stated, so they are not in this repository). Without --data the wheel is downloaded from PyPI with
pip and its file is read; nothing of it is run or installed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from modelyard.monitoring.dating import dated
from modelyard.monitoring.drift import compare, drifted
from modelyard.monitoring.window import LiveWindow
from modelyard.spec.monitor import MonitorSpec

PACKAGE: Final = "scikit-multiflow==0.4.1"
MEMBER: Final = "skmultiflow/data/datasets/elec.csv"
SHA256: Final = "ebdfe5480ae25a43a7d054286135e3a9484697a2850d5158a333b1578c28bb97"
NAMES: Final = ("period", "nsw_price", "nsw_demand", "vic_price", "vic_demand", "transfer", "up")
VICTORIA: Final = ("vic_price", "vic_demand", "transfer")
JOINED: Final = 17_424
# The model would have been trained on the first 250 days.
LEARNED: Final = 12_000
REFERENCE: Final = 5_000
START: Final = datetime(1996, 5, 7, tzinfo=UTC)
HALF_HOUR: Final = timedelta(minutes=30)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """What one column of one stream showed."""

    column: str
    before: float
    """Share of windows that ended before the change and drifted."""
    after: float
    """Share of windows wholly after it that drifted."""
    delay: int | None
    """Rows from the change to the end of the first window that drifted and reached it."""
    onset: int | None
    """Rows by which that window's onset is late, or early if below 0."""


def load(path: Path | None) -> pd.DataFrame:
    """Read Elec2 in the order of time; raise ValueError if it is another file."""
    content = path.read_bytes() if path else _from_wheel()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        message = f"this is another file: its SHA-256 is {found}"
        raise ValueError(message)
    return pd.read_csv(io.BytesIO(content), header=0, names=NAMES)


def _from_wheel() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-deps", "--only-binary", ":all:", "--python-version", "37"]
        platform = ["--platform", "manylinux1_x86_64", "--dest", folder, "--quiet"]
        asked = ["-m", "pip", "download", *options, *platform, PACKAGE]
        # An environment that uv made has no pip of its own.
        subprocess.run([os.environ.get("PYTHON", "python3"), *asked], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)


def look(stream: pd.DataFrame, size: int, step: int) -> tuple[list[Found], float]:
    """Slide a window over a stream; return each column's answer, and the share with any alarm."""
    random = np.random.default_rng(0)
    reference = stream.iloc[np.sort(random.choice(LEARNED, REFERENCE, replace=False))]
    monitor = MonitorSpec()
    ends = list(range(LEARNED + size, len(stream) + 1, step))
    moments = (START - EPOCH) // timedelta(microseconds=1) + np.arange(len(stream)) * (
        HALF_HOUR // timedelta(microseconds=1)
    )
    hits: dict[str, list[bool]] = {str(name): [] for name in stream.columns}
    onsets: dict[str, dict[int, int]] = {name: {} for name in hits}
    for end in ends:
        frame = stream.iloc[end - size : end].reset_index(drop=True)
        verdicts = compare(reference, frame, monitor)
        names = drifted(verdicts)
        live = LiveWindow(frame, None, moments[end - size : end])
        for verdict in dated(verdicts, reference, live):
            if verdict.since is not None:
                onsets[verdict.column][end] = (verdict.since - START) // HALF_HOUR
        for name, found in hits.items():
            found.append(name in names)
    anywhere = np.mean(np.any(list(hits.values()), axis=0))
    return [_found(name, hits[name], onsets[name], ends, size) for name in hits], float(anywhere)


def _found(
    column: str, hits: list[bool], onsets: dict[int, int], ends: list[int], size: int
) -> Found:
    before = [hit for hit, end in zip(hits, ends, strict=True) if end <= JOINED]
    after = [hit for hit, end in zip(hits, ends, strict=True) if end - size >= JOINED]
    first = next((end for hit, end in zip(hits, ends, strict=True) if hit and end > JOINED), None)
    return Found(
        column=column,
        before=float(np.mean(before)),
        after=float(np.mean(after)),
        delay=None if first is None else first - JOINED,
        onset=None if first is None else onsets[first] - JOINED,
    )


def show(what: str, found: list[Found], anywhere: float) -> None:
    """Print one stream's table."""
    print(f"\n{what}: {anywhere:.1%} of windows have drift in any column\n")
    print(
        "| column | drifted before row 17,424 | drifted after | first alarm, rows after | onset, rows off |"
    )
    print("|---|---|---|---|---|")
    for one in found:
        delay = "-" if one.delay is None else str(one.delay)
        onset = "-" if one.onset is None else f"{one.onset:+d}"
        print(f"| {one.column} | {one.before:.1%} | {one.after:.1%} | {delay} | {onset} |")


def main() -> int:
    """Look at the stream and at its control; exit with 1 if either is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--windows", type=int, nargs="*", default=[1_000])
    parser.add_argument("--step", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    stream = load(options.data)
    control = stream.sample(frac=1, random_state=0).reset_index(drop=True)
    report, good = {}, True
    for size in options.windows:
        real, real_share = look(stream, size, options.step)
        none, none_share = look(control, size, options.step)
        show(f"In time, windows of {size:,}", real, real_share)
        show(f"Shuffled, windows of {size:,}", none, none_share)
        victoria = [one for one in real if one.column in VICTORIA]
        good &= all(one.before == 0 and one.after > 0.9 for one in victoria)  # noqa: PLR2004
        good &= none_share <= MonitorSpec().alpha
        report[size] = {"real": [*map(asdict, real)], "control": [*map(asdict, none)]}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
