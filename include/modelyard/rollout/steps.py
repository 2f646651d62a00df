"""Where a rollout begins, what its stages are called, and what can be decided; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from modelyard.spec.serve import RolloutSpec

type Stage = Literal["shadow", "canary", "waiting"]
type Act = Literal["canary", "wait", "promote", "rollback"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a challenger, why, and by what evidence."""

    act: Act
    step: int
    share: float
    reason: str
    evidence: dict[str, JsonValue]


def first(rules: RolloutSpec) -> tuple[Stage | None, float]:
    """Where a rollout begins, and with which share; None if it is over at once."""
    if rules.shadow:
        return "shadow", rules.shadow_share
    if rules.canary:
        return "canary", rules.canary[0]
    return ("waiting", 0.0) if rules.approve else (None, 1.0)
