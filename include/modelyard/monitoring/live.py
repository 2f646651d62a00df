"""Profiles of live predictions: one file a model, version, hour and writer, merged when read.

Answers of shadows are kept apart from live ones, and each segment has profiles of its own beside
those of all rows: ``HOME/profiles/MODEL/VERSION/[shadow/ | segments/NAME/]HOUR-WRITER.bin``.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from modelyard.monitoring.observe import is_identity, observe_output
from modelyard.monitoring.profile import Profile, merge_files, write_profile
from modelyard.store.records import PredictionRecord, ShadowRecord

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

type ProfileVariant = Literal["live", "shadow"]
type SegmentOf = Callable[[PredictionRecord], str | None]
"""The name of a prediction's segment, COLUMN=VALUE; None where its model has none."""

HOUR: Final = "%Y-%m-%dT%H"
OPEN_HOURS: Final = 2
SEGMENTS: Final = "segments"
NAME: Final = "segment.txt"
NUMBERS: Final = frozenset({float, int, type(None)})


@dataclass(frozen=True, slots=True)
class Part:
    """What is profiled together: a version's live answers, its shadow answers, or a segment."""

    model: str
    version: int
    variant: ProfileVariant = "live"
    segment: str = ""

    def folder(self, home: Path) -> Path:
        """Where its files are; a segment may be called anything, so its folder has a hash."""
        folder = home / "profiles" / self.model / str(self.version)
        if self.variant == "shadow":
            folder /= "shadow"
        if self.segment:
            folder = folder / SEGMENTS / hashlib.sha256(self.segment.encode()).hexdigest()[:16]
        return folder


@dataclass(slots=True)
class _Open:
    """A profile that still grows, and its file."""

    path: Path
    profile: Profile = field(default_factory=Profile)
    changed: bool = False


def _no_segment(_record: PredictionRecord) -> None:
    return None


class LiveProfiles:
    """Profiles predictions below `home`/profiles/MODEL/VERSION/; for one thread.

    Each writer has files of its own, so that many may write at once. What is in memory is written
    every `every` seconds and at `close`; a crash loses at most that much.
    """

    def __init__(
        self, home: Path, *, every: float = 30.0, segment_of: SegmentOf = _no_segment
    ) -> None:
        self._home = home
        self._every = every
        self._segment_of = segment_of
        self._open: dict[tuple[Part, str], _Open] = {}
        self._written = time.monotonic()

    def add(
        self, records: Sequence[PredictionRecord], shadows: Sequence[ShadowRecord] = ()
    ) -> None:
        """Add a batch; the larger it is, the less each row costs."""
        for (part, hour), group in _grouped(records).items():
            frame = live_frame(group)
            self._track(part, hour, frame)
            self._track_segments(part, hour, frame, [self._segment_of(one) for one in group])
        for (part, hour), answers in _grouped_shadows(shadows).items():
            self._track(part, hour, shadow_frame(answers))
        if time.monotonic() - self._written >= self._every:
            self.flush()

    def flush(self) -> None:
        """Write what changed, and let go of hours that are over."""
        for (part, _), entry in self._open.items():
            if entry.changed:
                write_profile(entry.profile.to_bytes(), entry.path)
                if part.segment:
                    _keep_name(entry.path.parent, part.segment)
                entry.changed = False
        self._written = time.monotonic()
        for key in self._over():
            del self._open[key]

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        self._open.clear()

    def _track(self, part: Part, hour: str, frame: pd.DataFrame) -> None:
        key = (part, hour)
        if key not in self._open:
            # A process id comes again, in a container always; the suffix does not.
            name = f"{hour}-{os.getpid()}-{secrets.token_hex(3)}.bin"
            self._open[key] = _Open(part.folder(self._home) / name)
        self._open[key].profile.track(frame)
        self._open[key].changed = True

    def _track_segments(
        self, part: Part, hour: str, frame: pd.DataFrame, names: Sequence[str | None]
    ) -> None:
        for name in dict.fromkeys(names):
            if name is not None:
                rows = frame[[one == name for one in names]]
                self._track(Part(part.model, part.version, part.variant, name), hour, rows)

    def _over(self) -> list[tuple[Part, str]]:
        """The hours before the newest few of each part; stragglers get a new file."""
        newest: dict[Part, list[str]] = {}
        for part, hour in self._open:
            newest.setdefault(part, []).append(hour)
        kept = {part: sorted(hours)[-OPEN_HOURS:] for part, hours in newest.items()}
        return [(part, hour) for part, hour in self._open if hour not in kept[part]]


def _grouped(
    records: Iterable[PredictionRecord],
) -> dict[tuple[Part, str], list[PredictionRecord]]:
    groups: dict[tuple[Part, str], list[PredictionRecord]] = {}
    for record in records:
        key = (Part(record.model, record.version), record.at.strftime(HOUR))
        groups.setdefault(key, []).append(record)
    return groups


def _grouped_shadows(
    records: Iterable[ShadowRecord],
) -> dict[tuple[Part, str], list[ShadowRecord]]:
    """Group the copies that were answered; a failure has nothing to profile."""
    groups: dict[tuple[Part, str], list[ShadowRecord]] = {}
    for record in records:
        if record.error is None:
            key = (Part(record.model, record.version, "shadow"), record.at.strftime(HOUR))
            groups.setdefault(key, []).append(record)
    return groups


def _keep_name(folder: Path, segment: str) -> None:
    file = folder / NAME
    if not file.exists():
        file.write_text(segment, encoding="utf-8")


def live_frame(records: Sequence[PredictionRecord]) -> pd.DataFrame:
    """Lay out what is watched of predictions: inputs, what was predicted, how sure, how fast.

    Columns are the observed inputs, `predicted.OUTPUT`, `probability.OUTPUT`, `embedding.0`
    onwards where the model has one, and `latency_ms`; each is floats, or words.
    """
    answers = [
        {
            **_answer(record.outputs, record.probability),
            **{f"embedding.{axis}": x for axis, x in enumerate(record.embedding or ())},
            "latency_ms": record.latency_ms,
        }
        for record in records
    ]
    return _frame([record.inputs for record in records], answers)


def shadow_frame(records: Sequence[ShadowRecord]) -> pd.DataFrame:
    """Lay out what shadows answered; their inputs are those of the live answers."""
    return _frame(
        [
            {**_answer(record.outputs, record.probability), "latency_ms": record.latency_ms}
            for record in records
        ]
    )


def _answer(outputs: Mapping[str, object], probability: Mapping[str, float]) -> dict[str, object]:
    answer: dict[str, object] = {}
    for name, value in outputs.items():
        answer |= observe_output(name, value)
    for name, sure in probability.items():
        answer[f"probability.{name}"] = sure
    return answer


def _frame(*parts: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Make a table of rows that come in parts, without what only names a row."""
    import pandas as pd

    columns = {}
    for rows in parts:
        names = dict.fromkeys(chain.from_iterable(rows))
        for name in names:
            if not is_identity(name):
                columns[name] = _column([row.get(name) for row in rows])
    return pd.DataFrame(columns, index=range(len(parts[0])))


def _column(values: list[object]) -> np.ndarray:
    """Numbers and gaps are floats, which are profiled fastest; everything else stays as it is."""
    import numpy as np

    return np.array(values, dtype="float64" if NUMBERS.issuperset(map(type, values)) else "object")


def profile_files(  # noqa: PLR0913 - of what, and from when to when
    home: Path,
    model: str,
    version: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    variant: ProfileVariant = "live",
    segment: str = "",
) -> list[Path]:
    """Find the files of the hours from `since` to `until`, both included, oldest first."""
    first = since.astimezone(UTC).strftime(HOUR) if since else ""
    last = until.astimezone(UTC).strftime(HOUR) if until else "~"
    found: Iterable[Path] = Part(model, version, variant, segment).folder(home).glob("*.bin")
    length = len("2026-01-01T00")
    return sorted(path for path in found if first <= path.name[:length] <= last)


def read_live(  # noqa: PLR0913 - of what, and from when to when
    home: Path,
    model: str,
    version: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    variant: ProfileVariant = "live",
    segment: str = "",
) -> bytes | None:
    """Return one profile of a stretch of hours; None if nothing was profiled in it.

    Args:
        home: The home folder.
        model: The model's name.
        version: The model version that answered.
        since: Of the first hour; None is all from the beginning.
        until: Of the last hour, which is included whole; None is up to now.
        variant: What callers got (live), or what the version answered unseen (shadow).
        segment: COLUMN=VALUE of the rows; empty is all rows.

    Raises:
        MonitoringError: a file cannot be read.
    """
    files = profile_files(
        home, model, version, since=since, until=until, variant=variant, segment=segment
    )
    return merge_files(files) if files else None


def profiled_segments(home: Path, model: str, version: int) -> list[str]:
    """Name the segments of a version that have profiles, in order."""
    folder = Part(model, version).folder(home) / SEGMENTS
    return sorted(file.read_text(encoding="utf-8") for file in folder.glob(f"*/{NAME}"))
