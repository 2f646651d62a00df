"""Where the prediction log writes: Modelyard's database, and profiles of what was seen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from modelyard.errors import MonitoringError
from modelyard.monitoring.observe import observe
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord, Tally
from serving.prediction_log.log import Batch, Entry

if TYPE_CHECKING:
    from modelyard.monitoring.live import LiveProfiles

LONGEST_LIST: Final = 256
PROFILE_ROWS: Final = 5000
PROFILE_SECONDS: Final = 5.0
log = logging.getLogger(__name__)

type Observe = Callable[[Entry], Mapping[str, JsonValue]]


def records_of(entries: Sequence[Entry], observe: Observe) -> list[PredictionRecord]:
    """Observe answered rows; one that cannot be observed is left out, so that others are kept."""
    records = []
    for entry in entries:
        try:
            records.append(_record(entry, dict(observe(entry))))
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
        self._profiles: LiveProfiles | None = None
        self._unprofiled: list[PredictionRecord] = []
        self._profiled = time.monotonic()

    def keep(self, batch: Batch) -> int:
        """Keep a batch, and return how many rows could not be observed.

        Raises:
            StoreError: the database does not take it now.
        """
        if self._store is None:
            self._store = open_store(self._settings.database_url)
        records = records_of(batch.entries, _observe)
        self._store.log_predictions(records)
        self._store.log_shadows(batch.shadows)
        # Counts come last: the others may be written twice without harm, and these may not.
        self._store.add_tallies(_tallies(batch))
        self._unprofiled.extend(records)
        if len(self._unprofiled) >= PROFILE_ROWS:
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
        self._profiled = time.monotonic()
        try:
            if gathered:
                self._live().add(gathered)
            elif self._profiles is not None:
                self._profiles.add(())
        except (MonitoringError, OSError) as error:
            log.warning("%d predictions were not profiled: %s", len(gathered), error)

    def _live(self) -> LiveProfiles:
        if self._profiles is None:
            from modelyard.monitoring.live import LiveProfiles

            self._profiles = LiveProfiles(self._settings.home)
        return self._profiles


def _observe(entry: Entry) -> Mapping[str, JsonValue]:
    """Measure one row's inputs as the reference of drift was measured."""
    return observe(entry.features, entry.row)


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


def _record(entry: Entry, inputs: dict[str, JsonValue]) -> PredictionRecord:
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
    )


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
