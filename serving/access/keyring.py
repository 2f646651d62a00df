"""The API keys as the database has them, read again every second."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.records import ApiKey
from serving.access.scopes import is_loopback

REFRESH_SECONDS: Final = 1.0
FIRST_SECONDS: Final = 10.0
USUAL: Final = (401, 403, 429, 503)
log = logging.getLogger(__name__)

type Read = Callable[[], Sequence[ApiKey]]


class Door(StrEnum):
    """Who is let in."""

    OPEN = "open"
    """Everybody."""
    LOCAL = "local"
    """Everybody on this machine, and no web page of another site."""
    KEYS = "keys"
    """Who has a key."""
    CLOSED = "closed"
    """Nobody: a key is needed, and there is none."""
    UNKNOWN = "unknown"
    """Nobody: the keys were never read."""


def door_of(settings: Settings, keys: Mapping[str, ApiKey] | None) -> Door:
    """Decide who is let in; `keys` are None until they were read.

    A key that was revoked still counts, so that revoking the last one locks and does not open.
    """
    if settings.require_keys == "never":
        return Door.OPEN
    if keys is None:
        return Door.UNKNOWN
    if keys:
        return Door.KEYS
    if settings.require_keys == "auto" and is_loopback(settings.bind_host):
        return Door.LOCAL
    return Door.CLOSED


class Keyring:
    """Keys by id; a thread keeps them fresh, and keeps the last known while the database is away."""

    def __init__(
        self,
        settings: Settings,
        read: Read | None = None,
        *,
        every: float = REFRESH_SECONDS,
        patience: float = FIRST_SECONDS,
    ) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._read = read or self._read_store
        self._every = every
        self._seen: tuple[ApiKey, ...] | None = None
        self._failing = False
        self.keys: Mapping[str, ApiKey] = {}
        self.door = door_of(settings, None)
        self.refused: Counter[int] = Counter()
        """Refusals by HTTP status, since the process began."""
        self._stop, self._first = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-keys", daemon=True)
        self._thread.start()
        self._first.wait(patience)

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join(self._every + FIRST_SECONDS)

    def refresh(self) -> None:
        """Read the keys once; what is known stays if they cannot be read."""
        try:
            found = tuple(self._read())
        except Exception as error:  # noqa: BLE001 - were this thread to end, no key could be revoked
            if not self._failing:
                log.warning("the API keys cannot be read; those last known hold: %s", error)
            self._failing = True
            return
        self._failing = False
        if found != self._seen:
            self._seen = found
            self.keys = {key.id: key for key in found}
            self.door = door_of(self._settings, self.keys)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._first.set()
            self._stop.wait(self._every)
        if self._store is not None:
            self._store.close()

    def _read_store(self) -> Sequence[ApiKey]:
        if self._store is None:
            self._store = open_store(self._settings.database_url)
        return self._store.api_keys()


class Refusals(Collector):
    """Writes for Prometheus how many requests the door refused, by status."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def collect(self) -> Iterable[Metric]:
        """Write the family; the usual statuses from the beginning."""
        words = "Requests that were refused for their API key, or for want of one."
        family = CounterMetricFamily("modelyard_key_refusals", words, labels=("status",))
        counted = dict.fromkeys(USUAL, 0) | dict(self._keyring.refused)
        for status, count in sorted(counted.items()):
            family.add_metric((str(int(status)),), count)
        yield family
