"""Profiles of live predictions: one file a model, version, hour and writer, merged when read."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.observe import is_identity
from modelyard.monitoring.profile import Profile, merge_files, write_profile
from modelyard.store.records import PredictionRecord

if TYPE_CHECKING:
    import pandas as pd

HOUR: Final = "%Y-%m-%dT%H"
OPEN_HOURS: Final = 2

type Key = tuple[str, int, str]


@dataclass(slots=True)
class _Open:
    """A profile that still grows, and its file."""

    path: Path
    profile: Profile = field(default_factory=Profile)
    changed: bool = False


class LiveProfiles:
    """Profiles predictions below `home`/profiles/MODEL/VERSION/; for one thread.

    Each writer has files of its own, so that many may write at once. What is in memory is written
    every `every` seconds and at `close`; a crash loses at most that much.
    """

    def __init__(self, home: Path, *, every: float = 30.0) -> None:
        self._folder = home / "profiles"
        self._every = every
        self._open: dict[Key, _Open] = {}
        self._written = time.monotonic()

    def add(self, records: Sequence[PredictionRecord]) -> None:
        """Add a batch; the larger it is, the less each row costs."""
        groups: dict[Key, list[PredictionRecord]] = {}
        for record in records:
            key = (record.model, record.version, record.at.strftime(HOUR))
            groups.setdefault(key, []).append(record)
        for key, group in groups.items():
            entry = self._entry(key)
            entry.profile.track(live_frame(group))
            entry.changed = True
        if time.monotonic() - self._written >= self._every:
            self.flush()

    def flush(self) -> None:
        """Write what changed, and let go of hours that are over."""
        for entry in self._open.values():
            if entry.changed:
                write_profile(entry.profile.to_bytes(), entry.path)
                entry.changed = False
        self._written = time.monotonic()
        for key in self._over():
            del self._open[key]

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        self._open.clear()

    def _entry(self, key: Key) -> _Open:
        if key not in self._open:
            model, version, hour = key
            # A process id comes again, in a container always; the suffix does not.
            name = f"{hour}-{os.getpid()}-{secrets.token_hex(3)}.bin"
            self._open[key] = _Open(self._folder / model / str(version) / name)
        return self._open[key]

    def _over(self) -> list[Key]:
        """The hours before the newest few of each model version; stragglers get a new file."""
        newest: dict[tuple[str, int], list[str]] = {}
        for model, version, hour in self._open:
            newest.setdefault((model, version), []).append(hour)
        kept = {variant: sorted(hours)[-OPEN_HOURS:] for variant, hours in newest.items()}
        return [key for key in self._open if key[2] not in kept[key[:2]]]


def live_frame(records: Sequence[PredictionRecord]) -> pd.DataFrame:
    """Lay out what is profiled of predictions: inputs, what was predicted, how sure, how fast."""
    import pandas as pd

    rows = [
        {
            **{name: value for name, value in record.inputs.items() if not is_identity(name)},
            **{f"predicted.{name}": value for name, value in record.outputs.items()},
            **{f"probability.{name}": value for name, value in record.probability.items()},
            "latency_ms": record.latency_ms,
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def profile_files(
    home: Path,
    model: str,
    version: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Path]:
    """Find the files of the hours from `since` to `until`, both included, oldest first."""
    first = since.astimezone(UTC).strftime(HOUR) if since else ""
    last = until.astimezone(UTC).strftime(HOUR) if until else "~"
    found: Iterable[Path] = (home / "profiles" / model / str(version)).glob("*.bin")
    length = len("2026-01-01T00")
    return sorted(path for path in found if first <= path.name[:length] <= last)


def read_live(
    home: Path,
    model: str,
    version: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bytes | None:
    """Return one profile of a stretch of hours; None if nothing was profiled in it."""
    files = profile_files(home, model, version, since=since, until=until)
    return merge_files(files) if files else None
