"""Send the events that wait, and write down which addresses have them.

Each address gets each event at least once: a crash between sending and writing sends it again, with
the same event id. An address that has an event does not get it again because another is down.
What changed in one look at a model is one text for people, and one document each for programs.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from modelyard.delivery.addresses import Address, NotDelivered, addresses_of
from modelyard.monitoring.alerts.message import Links, Message
from modelyard.settings import Settings
from modelyard.store.records import now

if TYPE_CHECKING:
    from modelyard.store.database import Store
    from modelyard.store.monitoring_records import AlertEvent

KEPT: Final = timedelta(days=7)
"""What waited longer is news no more."""
PATIENCE: Final = 3
MOST_WAITING: Final = 1_000_000
"""After so many failures an address is left in peace until the next time."""
log = logging.getLogger(__name__)


def deliver(settings: Settings) -> list[AlertEvent]:
    """Send what waits to every address; return what all of them have now.

    What fails waits for the next call, up to seven days; the event says why and how often.
    Without addresses nothing is done.
    """
    from modelyard.store.database import open_store

    addresses = addresses_of(settings)
    if not addresses:
        return []
    locks = settings.home / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / "delivery.lock"), open_store(settings.database_url) as store:
        if late := store.give_up_deliveries(now() - KEPT):
            log.warning("%d events waited for %d days and are given up", late, KEPT.days)
        return _send_all(settings, store, addresses)


@dataclass(slots=True)
class _Sending:
    """One round of sending."""

    addresses: Sequence[Address]
    failures: Counter[str] = field(default_factory=Counter)
    """By address; those since it last took something."""

    def send(self, messages: Sequence[Message]) -> dict[str, _Outcome]:
        """Send the messages of one look; return what became of each event."""
        outcomes = {one.event.id: _Outcome(list(one.event.reached)) for one in messages}
        for address in self.addresses:
            lacking = [one for one in messages if address.digest not in one.event.reached]
            for part in address.parts(lacking) if lacking else ():
                if self.failures[address.digest] < PATIENCE:
                    self._try(address, part, outcomes)
        return outcomes

    def _try(
        self, address: Address, part: Sequence[Message], outcomes: dict[str, _Outcome]
    ) -> None:
        mine = [outcomes[one.event.id] for one in part]
        try:
            address.send(part)
        except NotDelivered as failed:
            self.failures[address.digest] += 1
            log.warning("%d events not delivered to %s: %s", len(part), address.name, failed)
            for one in mine:
                one.problems.append(f"{address.name}: {failed}")
        else:
            self.failures[address.digest] = 0
            for one in mine:
                one.reached.append(address.digest)


@dataclass(slots=True)
class _Outcome:
    """Which addresses have an event, and what went wrong."""

    reached: list[str]
    problems: list[str] = field(default_factory=list)


def _send_all(settings: Settings, store: Store, addresses: Sequence[Address]) -> list[AlertEvent]:
    sending = _Sending(addresses)
    delivered = []
    waiting = store.alert_events(waiting=True, limit=MOST_WAITING)
    for _, events in groupby(waiting, key=lambda event: (event.model, event.at)):
        told = [_message(settings, store, event) for event in events]
        messages = [message for message in told if message is not None]
        outcomes = sending.send(messages)
        for event in (message.event for message in messages):
            found = outcomes[event.id]
            if all(one.digest in found.reached for one in addresses):
                store.mark_delivery(event.id, reached=found.reached)
                delivered.append(event)
            elif found.problems or len(found.reached) > len(event.reached):
                reason = "; ".join(found.problems) or "another address is left in peace for now"
                store.mark_delivery(event.id, reason, found.reached)
    return delivered


def _message(settings: Settings, store: Store, event: AlertEvent) -> Message | None:
    """Put an event into words; None, and it is given up in time, where its alert was deleted."""
    alert = store.alert(event.alert)
    if alert is None:
        store.mark_delivery(event.id, "its alert is not in the database any more", event.reached)
        return None
    report = str(settings.home / alert.report) if alert.report else None
    page = f"{settings.endpoint.rstrip('/')}/models/{alert.model}/alerts"
    return Message(event, alert, Links(page, report))
