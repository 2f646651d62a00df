"""Attend to a rollout: read what was counted, decide, carry out."""

from __future__ import annotations

from typing import cast

from modelyard.rollout import under_way
from modelyard.rollout.decide import Outlook, RolloutState, decide, look
from modelyard.rollout.deploy import Rollout
from modelyard.rollout.evidence import Evidence, collect
from modelyard.rollout.moves import Move
from modelyard.rollout.steps import Stage
from modelyard.store.database import Store
from modelyard.store.records import UNDER_WAY, RolloutRecord, now


def attend(control: Rollout, record: RolloutRecord) -> Move | None:
    """Do what the evidence says by now; None to go on as it is."""
    decision = decide(state_of(record), evidence_of(control.store, record), now())
    return None if decision is None else control.carry_out(record, decision)


def outlook_of(store: Store, record: RolloutRecord) -> Outlook | None:
    """What the evidence of a rollout says by now; None once it is over."""
    if record.status not in UNDER_WAY:
        return None
    return look(state_of(record), evidence_of(store, record))


def state_of(record: RolloutRecord) -> RolloutState:
    """Where a rollout is, as decisions need it."""
    return RolloutState(
        version=record.version,
        stage=cast("Stage", record.status),
        step=record.step,
        rules=under_way.rules_of(record).rollout,
        since=record.changed,
    )


def evidence_of(store: Store, record: RolloutRecord) -> Evidence:
    """What was counted of both versions since the phase began."""
    champion = next(
        (item.version for item in store.variants(record.model) if item.role == "champion"), None
    )
    return collect(store.tallies(record.model, record.phase), champion, record.version)
