"""What the buttons do: read what is asked for, say what it would do, and do it by `serve_control`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, cast

from modelyard import serve_control
from modelyard.errors import UsageError
from modelyard.plans import look_around
from modelyard.rollout import moves
from modelyard.rollout.moves import Author, Decide, Move
from modelyard.rollout.plan import PLANNER, Plan, PlanState, plan_move
from modelyard.settings import Settings
from modelyard.store.database import open_store
from modelyard_ui.visitor import Right

type Action = Literal["promote", "rollback", "split", "approve", "reject"]

RIGHT_FOR: Mapping[Action, Right] = {
    "promote": "move",
    "rollback": "move",
    "split": "move",
    "approve": "approve",
    "reject": "approve",
}
WEIGHT: Final = "weight."
LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for."""

    model: str
    action: Action
    version: int | None = None
    weights: Mapping[int, float] = field(default_factory=dict)
    experiment: str | None = None
    share: float = 1.0

    @property
    def right(self) -> Right:
        """The right that it takes."""
        return RIGHT_FOR[self.action]

    @property
    def needs(self) -> tuple[int, ...]:
        """The versions that have to run for it."""
        chosen = () if self.version is None else (self.version,)
        return (*self.weights, *chosen)

    @property
    def in_words(self) -> str:
        """What was asked for, as a heading."""
        name = "the challenger" if self.version is None else f"version {self.version}"
        return {
            "promote": f"Promote {name} of {self.model}",
            "rollback": f"Roll {self.model} back",
            "split": f"Divide the traffic of {self.model}",
            "approve": f"Approve the challenger of {self.model}",
            "reject": f"Reject the challenger of {self.model}",
        }[self.action]

    def as_values(self) -> dict[str, Any]:
        """Spell it for a seal."""
        return {**asdict(self), "weights": {str(k): v for k, v in self.weights.items()}}


def asked(fields: Mapping[str, str]) -> Wanted:
    """Read what a form asks for.

    Raises:
        UsageError: it is nothing that can be done.
    """
    action, model = fields.get("action", ""), fields.get("model", "")
    if action not in RIGHT_FOR or not model:
        message = "it takes a model, and an action: " + ", ".join(RIGHT_FOR)
        raise UsageError(message)
    version = fields.get("version", "").strip()
    weights = {
        _whole(name.removeprefix(WEIGHT)): _share(text)
        for name, text in fields.items()
        if name.startswith(WEIGHT) and text.strip()
    }
    return Wanted(
        model=model,
        action=cast("Action", action),
        version=_whole(version) if version else None,
        weights=weights,
        experiment=fields.get("experiment", "").strip()[:200] or None,
        share=_share(fields.get("share", "").strip() or "1"),
    )


def unsealed(values: Mapping[str, Any]) -> Wanted:
    """Read what a seal holds."""
    weights = {int(version): float(weight) for version, weight in values["weights"].items()}
    return Wanted(**{**values, "weights": weights})


def phase(settings: Settings, model: str) -> str:
    """Name the state that a plan was made for: the model's newest ledger row."""
    with open_store(settings.database_url) as store:
        return store.phases().get(model, "")


def plan(settings: Settings, wanted: Wanted) -> Plan:
    """Say what it would do; changes nothing.

    Raises:
        ModelyardError: it is refused, or cannot be told.
    """
    _refuse_unknown(settings, wanted)
    state = look_around(settings, wanted.model)
    decide = _decide(wanted, state)
    if wanted.right == "approve":  # the rollout goes on, and is not ended by hand
        state = state.model_copy(update={"rollout": None})
    return plan_move(wanted.model, wanted.in_words, state, wanted.needs, decide)


def _decide(wanted: Wanted, state: PlanState) -> Decide:
    model, version = wanted.model, wanted.version
    if wanted.action == "promote":
        return lambda now: moves.promote(now, model, version, PLANNER)
    if wanted.action == "split":
        given = wanted.weights, PLANNER, wanted.experiment
        return lambda now: moves.split(now, model, *given)
    if wanted.action == "rollback":
        return lambda now: moves.rollback(now, model, PLANNER)
    waiting = _waiting(wanted, state)
    if wanted.action == "reject":
        return lambda now: moves.rollback(now, model, PLANNER)
    if wanted.share < 1:
        return lambda now: moves.step(now, model, waiting, "canary", wanted.share, PLANNER)
    return lambda now: moves.promote(now, model, waiting, PLANNER)


def _waiting(wanted: Wanted, state: PlanState) -> int:
    """The version that waits for approval, if one may have such a share."""
    if state.rollout is None or state.rollout.status != "waiting":
        message = f"no challenger of {wanted.model} waits for approval"
        raise UsageError(message, hint="it was decided meanwhile, or is not there yet")
    if not 0 < wanted.share <= 1:
        message = f"a share is above 0 and at most 1, and not {wanted.share:g}"
        raise UsageError(message, hint="1 is all traffic, 0.5 one more canary step")
    return state.rollout.version


def _refuse_unknown(settings: Settings, wanted: Wanted) -> None:
    """Refuse a model that is not served, and a version that is not registered."""
    from modelyard.tracking import registry

    with open_store(settings.database_url) as store:
        deployed = {one.version for one in store.variants(wanted.model)}
    if not deployed:
        message = f"there is no model {wanted.model} that is served"
        raise UsageError(message)
    for version in set(wanted.needs) - deployed:
        registry.version(settings, wanted.model, version)


def carry_out(settings: Settings, wanted: Wanted, by: str, why: str) -> Move | None:
    """Do it, in the name of a person; None if it was so already.

    Raises:
        ModelyardError: it is refused, or cannot be done.
    """
    author = Author(by[:255], reason=why.strip()[:LONGEST_REASON])
    model = wanted.model
    if wanted.action == "promote":
        return serve_control.promote(settings, model, wanted.version, author)
    if wanted.action == "rollback":
        return serve_control.rollback(settings, model, author)
    if wanted.action == "split":
        return serve_control.split(settings, model, wanted.weights, author, wanted.experiment)
    if wanted.action == "approve":
        return serve_control.approve(settings, model, wanted.share, author)
    return serve_control.reject(settings, model, author)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:  # noqa: PLR2004
        message = f"a version is a number from 1, and not {text[:40]!r}"
        raise UsageError(message)
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share < math.inf:
        message = f"a share is a number of 0 or more, and not {text[:40]!r}"
        raise UsageError(message)
    return share
