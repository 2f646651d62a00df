"""The rollout that is under way, as the database keeps it: how it begins, goes on and ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from pydantic import ValidationError

from modelyard.rollout import moves
from modelyard.rollout.moves import Author, Move
from modelyard.rollout.routes import ModelTraffic
from modelyard.rollout.steps import Decision, Stage, first
from modelyard.spec.serve import RolloutSpec, ServeSpec
from modelyard.store.database import Store
from modelyard.store.records import UNDER_WAY, RolloutRecord, RolloutStatus, Variant, now

SLOW_FACTOR, SLOW_QUANTILE = 2.0, 0.95
LEAST_SLOW_MS = 50.0
"""Faster than this nothing is called slow: it would be the scheduler's noise."""
LATENCIES = 1_000
FEW = 20


def rules_of(record: RolloutRecord | None) -> ServeSpec:
    """Read the spec's section that a rollout began with; of what a newer version wrote, the defaults."""
    try:
        return ServeSpec.model_validate({} if record is None else record.policy)
    except ValidationError:
        return ServeSpec()


def begun(
    store: Store, move: Move, version: int, serve: ServeSpec, author: Author
) -> RolloutRecord:
    """Describe a rollout after its first move; one without steps is over by then."""
    model = move.entry.model
    stage, _ = first(serve.rollout)
    champion = move.version("champion")
    over = stage is None or champion == version
    status: RolloutStatus = "promoted" if over else cast("Stage", stage)
    return RolloutRecord(
        model=model,
        version=version,
        status=status,
        phase=move.entry.id,
        slow_ms=None if over else slow_ms(store, model, champion, serve.rollout),
        policy=serve.model_dump(mode="json"),
        started=move.entry.at,
        changed=move.entry.at,
        reason=move.entry.reason,
        by=author.by,
        run=author.run,
    )


def by_hand(model: str, version: int, serve: ServeSpec, author: Author) -> RolloutRecord:
    """Note how a version wants to be served that is deployed without a rollout."""
    return RolloutRecord(
        model=model,
        version=version,
        status="stopped",
        phase="",
        policy=serve.model_dump(mode="json"),
        reason="deployed by hand",
        by=author.by,
        run=author.run,
    )


def next_move(
    store: Store,
    record: RolloutRecord,
    variants: Sequence[Variant],
    decision: Decision,
    author: Author,
) -> tuple[Move | None, dict[str, object]]:
    """Turn a decision into a move, and into what changes of the rollout."""
    model, version = record.model, record.version
    if decision.act == "promote":
        return moves.promote(variants, model, version, author), {"status": "promoted"}
    if decision.act == "rollback":
        return moves.rollback(variants, model, author), {"status": "rolled_back"}
    stage: Stage = "waiting" if decision.act == "wait" else "canary"
    move = moves.step(variants, model, version, stage, decision.share, author)
    limit = record.slow_ms
    if move is not None and stage == "canary":
        limit = slow_ms(store, model, move.version("champion"), rules_of(record).rollout)
    return move, {"status": stage, "step": decision.step, "slow_ms": limit}


def moved(record: RolloutRecord, move: Move, **changes: object) -> RolloutRecord:
    """The same rollout after a move of its own: a new phase begins."""
    news = {"phase": move.entry.id, "changed": move.entry.at, "reason": move.entry.reason}
    return record.model_copy(update={**news, **changes})


def after_hand(record: RolloutRecord, move: Move) -> RolloutRecord:
    """What a move by hand makes of a rollout: it is over, for automatics do not argue with people."""
    roles = {item.version: item.role for item in move.variants}
    status: RolloutStatus = "stopped"
    if roles.get(record.version) == "champion":
        status = "promoted"
    elif record.version not in roles:
        status = "rolled_back"
    return moved(record, move, status=status)


def after_other(record: RolloutRecord, move: Move) -> RolloutRecord:
    """What becomes of a rollout when another version is placed or taken away: it counts anew."""
    if any(item.version == record.version for item in move.variants):
        return moved(record, move, changed=record.changed, reason=record.reason)
    return moved(record, move, status="stopped")


def stopped(record: RolloutRecord, reason: str) -> RolloutRecord:
    """The rollout, ended because something else began."""
    return record.model_copy(update={"status": "stopped", "changed": now(), "reason": reason})


def slow_ms(store: Store, model: str, champion: int | None, rules: RolloutSpec) -> float | None:
    """From how many milliseconds on an answer is slow; None while the champion is not known yet."""
    if rules.latency_ms is not None:
        return rules.latency_ms
    if champion is None:
        return None
    found = sorted(
        one.latency_ms for one in store.predictions(model, last=LATENCIES, version=champion)
    )
    if len(found) < FEW:
        return None
    usual = found[math.ceil(SLOW_QUANTILE * len(found)) - 1]
    return max(LEAST_SLOW_MS, round(SLOW_FACTOR * usual, 1))


def traffic(store: Store, variants: Sequence[Variant]) -> dict[str, ModelTraffic]:
    """What holds for each model's requests: its phase, what is slow, when to give up, who sticks."""
    phases = store.phases()
    return {
        model: _traffic(store, model, phases.get(model, ""), variants)
        for model in sorted({item.model for item in variants})
    }


def _traffic(store: Store, model: str, phase: str, variants: Sequence[Variant]) -> ModelTraffic:
    champion = next(
        (item.version for item in variants if item.model == model and item.role == "champion"),
        None,
    )
    records = store.rollouts(model, LATENCIES)
    under_way = next((one for one in records if one.status in UNDER_WAY), None)
    of_champion = next((one for one in records if one.version == champion), None)
    rules = rules_of(under_way or of_champion).rollout
    return ModelTraffic(
        phase=phase,
        slow_ms=None if under_way is None else under_way.slow_ms,
        timeout_ms=rules.timeout_ms,
        sticky_field=rules_of(of_champion).sticky,
    )
