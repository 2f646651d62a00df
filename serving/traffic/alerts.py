"""What needs a person, as the endpoint lists it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from modelyard.store.database import Store
from modelyard.store.monitoring_records import AlertRecord
from modelyard.store.records import RolloutRecord
from serving.traffic.breaker import Position

MOST: Final = 500
INNER: Final = {"eased", "gone"}
type Alert = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows of one model: its alerts and its last rollout."""

    alerts: Sequence[AlertRecord]
    rollout: RolloutRecord | None


def known_of(store: Store, models: Iterable[str], *, every: bool = False) -> list[Known]:
    """Ask the database about models; `every`: of alerts that ended too."""
    return [
        Known(
            store.alerts(model, open_only=not every, limit=MOST),
            next(iter(store.rollouts(model, 1)), None),
        )
        for model in models
    ]


def alerts_of(known: Iterable[Known], breakers: Iterable[tuple[str, str, Position]]) -> list[Alert]:
    """List open breakers, then what the database knows, the newest first, ended alerts last.

    Of rollouts a model's last one, if it waits for a person or was rolled back.
    """
    dated = []
    for one in known:
        dated += [((alert.ended is None, alert.opened), alert_of(alert)) for alert in one.alerts]
        if one.rollout is not None and one.rollout.status in {"waiting", "rolled_back"}:
            dated.append(((True, one.rollout.changed), _rollout(one.rollout)))
    dated.sort(key=lambda pair: pair[0], reverse=True)
    broken = [
        _breaker(model, version, position)
        for model, version, position in breakers
        if position != "closed"
    ]
    return [*broken, *(alert for _, alert in dated)]


def alert_of(alert: AlertRecord) -> Alert:
    """Write an alert; `at` is when it was first seen."""
    document: Alert = alert.model_dump(mode="json", exclude=INNER)
    return {"kind": document.pop("kind"), "at": document["opened"], **document}


def _rollout(record: RolloutRecord) -> Alert:
    waits = record.status == "waiting"
    return {
        "kind": "approval" if waits else "rollback",
        "id": record.id,
        "at": record.changed.isoformat(),
        "model": record.model,
        "version": record.version,
        "reason": record.reason,
    }


def _breaker(model: str, version: str, position: Position) -> Alert:
    reason = f"the champion answers for version {version}: its circuit breaker is {position}"
    return {"kind": "breaker", "model": model, "version": int(version), "reason": reason}
