"""What the log must know of a version to write its predictions down: spec, words, segments."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelyard.errors import ModelyardError
from modelyard.monitoring.segments import Segmentation, read_segmentation
from modelyard.monitoring.texts import NO_VOCABULARIES, Vocabularies
from modelyard.monitoring.watching import monitor_of
from modelyard.settings import Settings
from modelyard.spec.models import MonitorSpec

# A spec that is changed holds for the log after this time.
FRESH_SECONDS: Final = 60.0
REFERENCE: Final = "reference"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """How one version's predictions are written down."""

    monitor: MonitorSpec = MonitorSpec()  # noqa: RUF009 - it is frozen
    vocabularies: Vocabularies = NO_VOCABULARIES
    segmentation: Segmentation | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    watched: Watched
    files: Path | None
    until: float


class Versions:
    """Remembers what it read of each version, and reads the spec again each minute.

    Args:
        settings: Where specs and model versions are.
        clock: Seconds, steady.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._kept: dict[tuple[str, int], _Kept] = {}

    def of(self, model: str, version: int, files: str | None) -> Watched:
        """Say how a version is watched.

        Args:
            model: The model's name.
            version: The model version.
            files: Where its files lie for the process that serves it; None if that is not known.
        """
        kept = self._kept.get((model, version))
        if kept is not None and self._clock() < kept.until:
            return kept.watched
        known = kept if kept is not None and kept.files is not None else None
        folder = known.files if known else self._folder(model, version, files)
        watched = self._read(model, folder, known.watched if known else None)
        self._kept[model, version] = _Kept(watched, folder, self._clock() + FRESH_SECONDS)
        return watched

    def known(self, model: str, version: int) -> Watched | None:
        """Say what is remembered of a version."""
        kept = self._kept.get((model, version))
        return None if kept is None else kept.watched

    def _folder(self, model: str, version: int, files: str | None) -> Path | None:
        """The version's files here; those of a replica on another machine are fetched."""
        if files is None:
            return None
        if Path(files).is_dir():
            return Path(files)
        from modelyard.tracking import registry

        try:
            return registry.download(self._settings, model, version)
        except ModelyardError as error:
            log.warning("%s version %d is watched without its files: %s", model, version, error)
            return None

    def _read(self, model: str, folder: Path | None, before: Watched | None) -> Watched:
        """Read spec and reference; what does not change is kept as it was before."""
        monitor = monitor_of(model, self._settings.specs, folder)
        if folder is None:
            return Watched(monitor)
        if before is not None and before.monitor.segment_by == monitor.segment_by:
            return Watched(monitor, before.vocabularies, before.segmentation)
        segmentation = read_segmentation(folder / REFERENCE, monitor.segment_by)
        if monitor.segment_by is not None and segmentation is None:
            log.warning("%s: the reference has no column %s", model, monitor.segment_by)
        return Watched(monitor, _vocabularies(folder / REFERENCE), segmentation)


def _vocabularies(reference: Path) -> Vocabularies:
    try:
        return Vocabularies.read(reference)
    except ModelyardError as error:
        log.warning("texts are watched without their vocabulary: %s", error)
        return NO_VOCABULARIES
