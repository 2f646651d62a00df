"""Decide what is served next: pure functions from the variants now to a move, or None for no change.

Weights of a move add up to 1. One champion, at most one version on its way (the challenger of a
deployment) and the former champion, kept warm for a roll-back, are deployed; `split` may keep more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from modelyard.errors import UsageError
from modelyard.rollout.steps import Stage, first
from modelyard.spec.serve import RolloutSpec
from modelyard.store.records import LedgerEntry, Variant, new_id

type Decide = Callable[[Sequence[Variant]], Move | None]
type Action = Literal[
    "deploy", "shadow", "canary", "wait", "promote", "rollback", "split", "withdraw"
]


@dataclass(frozen=True, slots=True)
class Author:
    """Who decides, in which run, why, and by what evidence."""

    by: str
    run: str | None = None
    reason: str = ""
    evidence: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """What is served after a decision, and its ledger row."""

    variants: tuple[Variant, ...]
    entry: LedgerEntry

    def version(self, role: str) -> int | None:
        """The first version that has this role after the move."""
        return next((item.version for item in self.variants if item.role == role), None)


def deploy(
    variants: Sequence[Variant],
    model: str,
    version: int,
    author: Author,
    beside: Collection[int] = (),
) -> Move | None:
    """Place a version as challenger without traffic; of other idle ones only `beside` stay."""
    now = _Line(variants, model)
    if version in (now.champion, *now.challengers):
        return None
    kept = [
        item
        for item in now.others(version)
        if item.role != "challenger" or _busy(item) or item.version in beside
    ]
    placed = Variant(model=model, version=version, weight=0, role="challenger")
    return now.move("deploy", version, [*kept, placed], author, f"version {version} is placed")


def begin(
    variants: Sequence[Variant], model: str, version: int, rules: RolloutSpec, author: Author
) -> Move | None:
    """Give a version that was placed its first traffic: copies, a canary share, or all of it.

    A version that has traffic already, or was taken away since, stays as it is.
    """
    now = _Line(variants, model)
    challenger = now.get(version)
    if challenger is None or challenger.role != "challenger" or _busy(challenger):
        return None
    stage, share = first(rules)
    if now.champion is None or stage is None:
        return promote(variants, model, version, author)
    return _step(now, challenger, stage, share, author)


def step(  # noqa: PLR0913, PLR0917 - all that a step is
    variants: Sequence[Variant],
    model: str,
    version: int,
    stage: Stage,
    share: float,
    author: Author,
) -> Move | None:
    """Give a challenger another share; waiting for approval it keeps the one it has."""
    now = _Line(variants, model)
    challenger = now.get(version)
    if challenger is None or challenger.role != "challenger":
        return None
    return _step(now, challenger, stage, share, author)


def _step(
    now: _Line, challenger: Variant, stage: Stage, share: float, author: Author
) -> Move | None:
    version = challenger.version
    told = {
        "shadow": f"version {version} gets copies of {share:.0%} of requests",
        "canary": f"version {version} gets {share:.0%} of requests",
        "waiting": f"version {version} waits for approval",
    }[stage]
    if stage == "waiting":
        share = challenger.weight
    seen = 0.0 if stage == "shadow" else share
    copied = share if stage == "shadow" else 0.0
    rest = [item for item in now.variants if item.role != "challenger"]
    after = [_weighted(item, (1 - seen) * (item.version == now.champion)) for item in rest]
    after.append(_weighted(challenger, seen, shadow=copied))
    action: Action = "wait" if stage == "waiting" else stage
    return now.move(action, version, after, author, told, always=stage == "waiting")


def promote(
    variants: Sequence[Variant], model: str, version: int | None, author: Author
) -> Move | None:
    """Make a version the champion with all traffic; the former champion stays warm.

    Raises:
        UsageError: no version is given and there is not exactly one challenger, or the version is not deployed.
    """
    now = _Line(variants, model)
    chosen = now.only_challenger() if version is None else version
    if now.get(chosen) is None:
        raise now.not_deployed(chosen)
    former = now.champion if now.champion != chosen else now.former
    after = [Variant(model=model, version=chosen, weight=1, role="champion")]
    if former is not None:
        after.append(Variant(model=model, version=former, weight=0, role="warm"))
    return now.move("promote", chosen, after, author, f"version {chosen} becomes champion")


def rollback(variants: Sequence[Variant], model: str, author: Author) -> Move | None:
    """Take challengers away; where there is none, go back to the former champion.

    Raises:
        UsageError: there is nothing to go back to.
    """
    now = _Line(variants, model)
    if now.challengers and now.champion is not None:
        kept = [item for item in now.variants if item.role != "challenger"]
        after = [_weighted(item, float(item.role == "champion")) for item in kept]
        taken = ", ".join(map(str, now.challengers))
        return now.move("rollback", now.champion, after, author, f"version {taken} is taken away")
    if now.champion is None or now.former is None:
        message = f"{model} has neither a challenger nor a former champion to go back to"
        raise UsageError(
            message, hint=f"choose a version: modelyard models promote {model} VERSION"
        )
    after = [
        Variant(model=model, version=now.former, weight=1, role="champion"),
        Variant(model=model, version=now.champion, weight=0, role="warm"),
    ]
    return now.move("rollback", now.former, after, author, f"back to version {now.former}")


def split(
    variants: Sequence[Variant],
    model: str,
    weights: Mapping[int, float],
    author: Author,
    experiment: str | None = None,
) -> Move | None:
    """Divide the traffic by weights of any sum; versions that are not named get none.

    The versions with traffic belong to the experiment, if it has a name, until the next move.

    Raises:
        UsageError: a version is not deployed, or the weights are not shares.
    """
    now = _Line(variants, model)
    total = sum(weights.values())
    if not all(weight >= 0 for weight in weights.values()) or not 0 < total < float("inf"):
        message = f"weights must be 0 or more, and one above 0; these are {_spelled(weights)}"
        raise UsageError(message, hint="such as: --weights 3=0.9,4=0.1")
    for version in weights:
        if now.get(version) is None:
            raise now.not_deployed(version)
    shares = {version: weight / total for version, weight in weights.items()}
    after = [_with_traffic(item, shares.get(item.version, 0), experiment) for item in now.variants]
    told = f"divided for the experiment {experiment}" if experiment else "divided by hand"
    return now.move("split", max(weights), after, author, told)


def withdraw(variants: Sequence[Variant], model: str, version: int, author: Author) -> Move | None:
    """Take away a version that could not start; what it answered goes to the champion."""
    now = _Line(variants, model)
    gone = now.get(version)
    if gone is None or gone.role == "champion":
        return None
    after = [
        item.model_copy(update={"weight": item.weight + gone.weight})
        if item.version == now.champion
        else item
        for item in now.others(version)
    ]
    return now.move("withdraw", version, after, author, f"version {version} is taken away")


class _Line:
    """The variants of one model."""

    def __init__(self, variants: Iterable[Variant], model: str) -> None:
        self.model = model
        self.variants = sorted(
            (item for item in variants if item.model == model), key=lambda item: item.version
        )
        self.champion = self._last("champion")
        self.former = self._last("warm")
        self.challengers = [item.version for item in self.variants if item.role == "challenger"]

    def _last(self, role: str) -> int | None:
        return max((item.version for item in self.variants if item.role == role), default=None)

    def get(self, version: int) -> Variant | None:
        return next((item for item in self.variants if item.version == version), None)

    def others(self, version: int) -> list[Variant]:
        return [item for item in self.variants if item.version != version]

    def only_challenger(self) -> int:
        if len(self.challengers) == 1:
            return self.challengers[0]
        found = ", ".join(map(str, self.challengers)) or "none"
        message = f"{self.model}: say which version to promote; challengers: {found}"
        raise UsageError(message, hint=f"modelyard models promote {self.model} VERSION")

    def not_deployed(self, version: int) -> UsageError:
        deployed = ", ".join(str(item.version) for item in self.variants) or "none"
        message = f"version {version} of {self.model} is not deployed; deployed: {deployed}"
        return UsageError(message, hint=f"see: modelyard models show {self.model}")

    def move(  # noqa: PLR0913 - all that a move is
        self,
        action: Action,
        version: int,
        after: Sequence[Variant],
        author: Author,
        reason: str,
        *,
        always: bool = False,
    ) -> Move | None:
        """Make the move; None if it would change nothing, unless it is to be told `always`."""
        variants = tuple(sorted(after, key=lambda item: item.version))
        if variants == tuple(self.variants) and not always:
            return None
        entry = LedgerEntry(
            id=_entry_id(action, version, author),
            model=self.model,
            action=action,
            before=_weights(self.variants),
            after=_weights(variants),
            reason=author.reason or reason,
            by=author.by,
            run=author.run,
            evidence=dict(author.evidence),
        )
        return Move(variants, entry)


def _entry_id(action: Action, version: int, author: Author) -> str:
    """The same move of the same run has the same id, so that a retry is not done twice."""
    return new_id() if author.run is None else f"{author.run[:200]}.{action}.{version}"


def _busy(variant: Variant) -> bool:
    """Whether it gets requests or copies of them."""
    return variant.weight > 0 or variant.shadow > 0


def _weighted(variant: Variant, weight: float, shadow: float = 0.0) -> Variant:
    """Give it another share, and end the experiment that it was part of."""
    return variant.model_copy(update={"weight": weight, "shadow": shadow, "experiment": None})


def _with_traffic(variant: Variant, weight: float, experiment: str | None) -> Variant:
    """A warm version that gets requests is a challenger from then on."""
    role = "challenger" if variant.role == "warm" and weight > 0 else variant.role
    named = experiment if weight > 0 else None
    changes = {"weight": weight, "role": role, "shadow": 0.0, "experiment": named}
    return variant.model_copy(update=changes)


def _weights(variants: Sequence[Variant]) -> dict[str, float]:
    return {str(item.version): item.weight for item in variants}


def _spelled(weights: Mapping[int, float]) -> str:
    return ", ".join(f"{version}={weight:g}" for version, weight in weights.items()) or "none"
