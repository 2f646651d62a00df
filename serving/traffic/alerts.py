"""What needs a person, as the endpoint lists it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from modelyard.store.database import Store
from modelyard.store.monitoring_records import DriftCheck
from modelyard.store.records import RolloutRecord
from serving.traffic.breaker import Position

DRIFT_CHECKS = 100
type Alert = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows of one model: its last drift checks and its last rollout."""

    checks: Sequence[DriftCheck]
    rollout: RolloutRecord | None


def known_of(store: Store, models: Iterable[str]) -> list[Known]:
    """Ask the database about models."""
    return [
        Known(store.verdicts(model, DRIFT_CHECKS), next(iter(store.rollouts(model, 1)), None))
        for model in models
    ]


def alerts_of(known: Iterable[Known], breakers: Iterable[tuple[str, str, Position]]) -> list[Alert]:
    """List open breakers, then what the database knows, newest first.

    Of drift each check that found some; of rollouts a model's last one, if it waits for a person or
    was rolled back.
    """
    dated = []
    for one in known:
        dated += [(check.at, _drift(check)) for check in one.checks if check.drifted]
        if one.rollout is not None and one.rollout.status in {"waiting", "rolled_back"}:
            dated.append((one.rollout.changed, _rollout(one.rollout)))
    dated.sort(key=lambda pair: pair[0], reverse=True)
    broken = [
        _breaker(model, version, position)
        for model, version, position in breakers
        if position != "closed"
    ]
    return [*broken, *(alert for _, alert in dated)]


def _drift(check: DriftCheck) -> Alert:
    """Write a check with only what drifted."""
    document: Alert = check.model_dump(mode="json", exclude={"verdicts", "drifted"})
    columns: list[JsonValue] = [
        verdict.model_dump(mode="json", exclude={"drifted"})
        for verdict in check.verdicts
        if verdict.drifted
    ]
    return {"kind": "drift", **document, "columns": columns}


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
