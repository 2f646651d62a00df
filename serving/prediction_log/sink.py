"""Where the prediction log writes: Modelyard's database, and profiles of what was seen."""

from __future__ import annotations

import logging
import math
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from modelyard.errors import MonitoringError
from modelyard.monitoring.observe import observe
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord, ShadowRecord, Tally
from serving.prediction_log.inputs import whole_inputs
from serving.prediction_log.log import Batch, Entry
from serving.prediction_log.versions import Versions

if TYPE_CHECKING:
    from modelyard.monitoring.live import LiveProfiles

LONGEST_LIST: Final = 256
PROFILE_ROWS: Final = 5000
PROFILE_SECONDS: Final = 5.0
log = logging.getLogger(__name__)

type Observe = Callable[[Entry], Mapping[str, JsonValue]]
type Whole = Callable[[Entry], dict[str, JsonValue] | None]


def _nothing_whole(_entry: Entry) -> None:
    return None


def records_of(
    entries: Sequence[Entry], observe: Observe, whole: Whole = _nothing_whole
) -> list[PredictionRecord]:
    """Observe answered rows; one that cannot be observed is left out, so that others are kept."""
    records = []
    for entry in entries:
        try:
            records.append(_record(entry, dict(observe(entry)), whole(entry)))
        except Exception:
            # One row must not stop the thread that logs all others.
            log.exception("prediction %s cannot be logged", entry.id)
    return records


class StoreSink:
    """Opens the database at the first write, so that the endpoint starts without it.

    A profile costs per table and hardly per row, so rows are gathered for it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._versions = Versions(settings)
        self._profiles: LiveProfiles | None = None
        self._unprofiled: list[PredictionRecord] = []
        self._unprofiled_shadows: list[ShadowRecord] = []
        self._profiled = time.monotonic()

    def keep(self, batch: Batch) -> int:
        """Keep a batch, and return how many rows could not be observed.

        Raises:
            StoreError: the database does not take it now.
        """
        if self._store is None:
            self._store = open_store(self._settings.database_url)
        records = records_of(batch.entries, self._observe, self._whole)
        self._store.log_predictions(records)
        self._store.log_shadows(batch.shadows)
        # Counts come last: the others may be written twice without harm, and these may not.
        self._store.add_tallies(_tallies(batch))
        self._unprofiled.extend(records)
        self._unprofiled_shadows.extend(batch.shadows)
        if len(self._unprofiled) + len(self._unprofiled_shadows) >= PROFILE_ROWS:
            self._profile()
        return len(batch.entries) - len(records)

    def rest(self) -> None:
        """Profile what has been gathered for a while."""
        if time.monotonic() - self._profiled >= PROFILE_SECONDS:
            self._profile()

    def close(self) -> None:
        """Finish the profiles and close the database."""
        self._profile()
        if self._profiles is not None:
            self._profiles.close()
        if self._store is not None:
            self._store.close()

    def _profile(self) -> None:
        """Add what was gathered; the database has it already, so a failure loses only the profile."""
        gathered, self._unprofiled = self._unprofiled, []
        shadows, self._unprofiled_shadows = self._unprofiled_shadows, []
        self._profiled = time.monotonic()
        try:
            if gathered or shadows:
                self._live().add(gathered, shadows)
            elif self._profiles is not None:
                self._profiles.add(())
        except (MonitoringError, OSError) as error:
            log.warning("%d predictions were not profiled: %s", len(gathered), error)

    def _live(self) -> LiveProfiles:
        if self._profiles is None:
            from modelyard.monitoring.live import LiveProfiles

            self._profiles = LiveProfiles(self._settings.home, segment_of=self._segment)
        return self._profiles

    def _observe(self, entry: Entry) -> Mapping[str, JsonValue]:
        """Measure one row's inputs as the reference of drift was measured."""
        watched = self._versions.of(entry.model, entry.version, entry.files)
        return observe(entry.features, entry.row, watched.vocabularies)

    def _whole(self, entry: Entry) -> dict[str, JsonValue] | None:
        """A row's inputs as they came, where the spec asks to keep them."""
        watched = self._versions.of(entry.model, entry.version, entry.files)
        if not watched.monitor.keep_inputs:
            return None
        return whole_inputs(self._settings.home, entry.model, entry.features, entry.row)

    def _segment(self, record: PredictionRecord) -> str | None:
        known = self._versions.known(record.model, record.version)
        return known.segmentation.of(record.inputs) if known and known.segmentation else None


def _tallies(batch: Batch) -> list[Tally]:
    return [
        Tally.model_validate(
            {
                "model": model,
                "version": version,
                "phase": phase,
                "measure": measure,
                "trials": trials,
                "hits": hits,
            }
        )
        for (model, version, phase, measure), trials, hits in batch.tallies
    ]


def _record(
    entry: Entry, inputs: dict[str, JsonValue], raw: dict[str, JsonValue] | None
) -> PredictionRecord:
    return PredictionRecord(
        id=entry.id,
        at=entry.at,
        model=entry.model,
        version=entry.version,
        request=entry.request,
        inputs=inputs,
        outputs={name: brief(output) for name, output in entry.output.items()},
        probability=_probabilities(entry.output),
        latency_ms=entry.milliseconds,
        run=entry.run,
        experiment=entry.experiment,
        phase=entry.phase,
        fallback_from=entry.fallback_from,
        client=entry.client,
        raw=raw,
        embedding=_embedding(entry.embedding),
    )


def _embedding(packed: bytes | None) -> tuple[float, ...] | None:
    """Read numbers in single precision, whose digits beyond the sixth mean nothing."""
    if not packed:
        return None
    numbers = array("f", packed)
    # PostgreSQL's JSON knows no infinite number.
    if not all(map(math.isfinite, numbers)):
        return None
    return tuple(float(f"{number:.6g}") for number in numbers)


def brief(output: Mapping[str, JsonValue]) -> JsonValue:
    """A mask is for the caller and not for the database, which keeps the share of its foreground."""
    if "share" in output:
        return output["share"]
    value = output.get("prediction")
    return None if isinstance(value, list) and len(value) > LONGEST_LIST else value


def _probabilities(output: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, float]:
    return {
        name: float(found)
        for name, parts in output.items()
        if isinstance(found := parts.get("probability"), int | float)
    }
