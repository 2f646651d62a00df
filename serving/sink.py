"""Where the prediction log writes: Modelyard's database, and profiles of what was seen."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from modelyard.errors import MonitoringError
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord
from serving.log import Entry

if TYPE_CHECKING:
    from modelyard.monitoring.live import LiveProfiles

PROFILE_ROWS: Final = 1000
PROFILE_SECONDS: Final = 5.0
log = logging.getLogger(__name__)


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

    def observe(self, entry: Entry) -> dict[str, JsonValue]:
        """Measure one row's inputs as the reference of drift was measured."""
        from modelyard.monitoring.observe import observe

        return dict(observe(entry.features, entry.row))

    def write(self, records: Sequence[PredictionRecord]) -> None:
        """Keep records; raises StoreError while the database does not take them."""
        if self._store is None:
            self._store = open_store(self._settings.database_url)
        self._store.log_predictions(records)
        self._unprofiled.extend(records)
        if len(self._unprofiled) >= PROFILE_ROWS:
            self._profile()

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
