"""What a change would do, before it is done: pure, from a spec or a move and the state of things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.rollout import moves
from modelyard.rollout.moves import Author, Move
from modelyard.rollout.steps import first
from modelyard.spec.models import Spec
from modelyard.spec.serve import RolloutSpec, ServeSpec
from modelyard.store.records import RolloutRecord, Variant

PLANNER = Author("plan")
type StageState = Literal["done", "runs", "depends"]


class PlannedStage(BaseModel):
    """What would become of one stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str = Field(description="The stage's name.")
    state: StageState = Field(
        description="done: made before, and found again; runs: will be made; depends: on what is made before it."
    )
    note: str = Field(default="", description="What should be known besides.")


class Share(BaseModel):
    """One version's part of the traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(description="The model version.")
    role: str = Field(description="champion, challenger or warm.")
    share: float = Field(description="Its share of the requests.")
    shadow: float = Field(default=0, description="The share of requests that are copied to it.")
    experiment: str | None = Field(default=None, description="The experiment it is part of.")


class Plan(BaseModel):
    """What a change would do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="The model's name.")
    change: str = Field(description="What was asked for.")
    stages: tuple[PlannedStage, ...] = Field(default=(), description="The run's stages.")
    registers: str | None = Field(default=None, description="What the registry would hold.")
    before: tuple[Share, ...] = Field(default=(), description="The traffic now.")
    after: tuple[Share, ...] = Field(default=(), description="The traffic right after.")
    starts: tuple[str, ...] = Field(default=(), description="Replicas that would be started.")
    stops: tuple[str, ...] = Field(default=(), description="Replicas that would be stopped.")
    then: tuple[str, ...] = Field(default=(), description="What would follow, and by which rules.")
    notes: tuple[str, ...] = Field(default=(), description="What should be known besides.")

    @property
    def nothing(self) -> bool:
        """Whether all is so already."""
        return not self.stages and self.before == self.after and not self.notes


class PlanState(BaseModel):
    """The state of things that a plan looks at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variants: tuple[Variant, ...] = Field(default=(), description="What is served.")
    rollout: RolloutRecord | None = Field(default=None, description="What is under way.")
    done: Mapping[str, bool] = Field(
        default_factory=dict, description="Stage to whether its artifact is there."
    )
    registered: int | None = Field(
        default=None, description="The version that this training is already."
    )
    newest: int = Field(default=0, description="The newest version's number.")
    replicas: Mapping[int, int] = Field(
        default_factory=dict, description="Version to its processes; 1 where it says nothing."
    )


def plan_spec(spec: Spec, state: PlanState, stages: Sequence[str]) -> Plan:
    """Say what a run of a spec would do."""
    planned, all_done = [], True
    for stage in stages:
        if stage in {"register", "deploy"}:
            continue
        done = state.done.get(stage, False)
        all_done = all_done and done
        planned.append(PlannedStage(stage=stage, state="done" if done else "runs"))
    version = state.registered or state.newest + 1
    registers = (
        f"version {version} is registered already"
        if state.registered
        else f"version {version}, if the gate lets it pass"
    )
    variants, replicas = state.variants, {**state.replicas, version: spec.serve.replicas}
    placed = moves.deploy(variants, spec.name, version, PLANNER)
    begun = moves.begin(
        placed.variants if placed else variants, spec.name, version, spec.serve.rollout, PLANNER
    )
    last = begun or placed
    traffic = _traffic(variants, last.variants if last else variants, spec.name, replicas)
    served = any(item.version == version and item.role != "warm" for item in variants)
    then = () if served and not last else _then(spec.serve, version, first_one=not variants)
    notes = _replaced(state, version) if last else ()
    return Plan(
        model=spec.name,
        change=f"run {spec.name}",
        stages=(
            *planned,
            PlannedStage(
                stage="register",
                state="done" if state.registered else ("runs" if all_done else "depends"),
            ),
            PlannedStage(stage="deploy", state="runs" if last else "done"),
        ),
        registers=registers,
        then=then,
        notes=notes,
        **traffic,
    )


def plan_move(
    model: str, change: str, state: PlanState, needs: Sequence[int], decide: moves.Decide
) -> Plan:
    """Say what a move by hand would do; versions that it needs are started first.

    Raises:
        UsageError: the move is refused.
    """
    variants: tuple[Variant, ...] = tuple(v for v in state.variants if v.model == model)
    before = variants
    for version in needs:
        if all(item.version != version for item in variants):
            placed = moves.deploy(variants, model, version, PLANNER)
            variants = placed.variants if placed else variants
    move: Move | None = decide(variants)
    after = move.variants if move else variants
    ended: tuple[str, ...] = ()
    if move is not None and state.rollout is not None:
        ended = (f"the rollout of version {state.rollout.version} ends: by hand beats automatics",)
    return Plan(
        model=model,
        change=change,
        notes=ended,
        **_traffic(before, after, model, state.replicas),
    )


def _traffic(
    before: Sequence[Variant], after: Sequence[Variant], model: str, replicas: Mapping[int, int]
) -> dict[str, tuple[Share, ...] | tuple[str, ...]]:
    mine = [item for item in before if item.model == model]
    old, new = {item.version for item in mine}, {item.version for item in after}
    return {
        "before": _shares(mine),
        "after": _shares(after),
        "starts": tuple(_replicas(version, replicas) for version in sorted(new - old)),
        "stops": tuple(_replicas(version, replicas) for version in sorted(old - new)),
    }


def _replicas(version: int, replicas: Mapping[int, int]) -> str:
    count = replicas.get(version, 1)
    return f"version {version}: {count} process{'es' * (count > 1)}"


def _shares(variants: Sequence[Variant]) -> tuple[Share, ...]:
    total = sum(item.weight for item in variants) or 1.0
    return tuple(
        Share(
            version=item.version,
            role=item.role,
            share=item.weight / total,
            shadow=item.shadow,
            experiment=item.experiment,
        )
        for item in sorted(variants, key=lambda item: item.version)
    )


def _replaced(state: PlanState, version: int) -> tuple[str, ...]:
    running = state.rollout
    if running is None or running.version == version:
        return ()
    return (f"the rollout of version {running.version} ({running.status}) is stopped",)


def _then(serve: ServeSpec, version: int, *, first_one: bool) -> tuple[str, ...]:
    rules = serve.rollout
    if first_one:
        return (f"version {version} is the first, and becomes champion at once",)
    stage, _ = first(rules)
    if stage is None:
        return (f"version {version} becomes champion at once: the spec has no canary",)
    told = []
    if rules.shadow:
        copied = f"copies of {rules.shadow_share:.0%} of requests"
        told.append(f"shadow: {copied}, {rules.shadow:,} at least")
    told += [
        f"canary: {share:.0%}, {rules.min_requests:,} requests at least" for share in rules.canary
    ]
    if rules.approve:
        told.append("a person approves")
    return (*told, f"version {version} becomes champion", *_rules(rules))


def _rules(rules: RolloutSpec) -> tuple[str, ...]:
    margins = rules.margins
    limits = (
        f"each step until it is shown to be worse by less than {100 * margins.errors:g} points of "
        f"failed, {100 * margins.slow:g} of slow and {100 * margins.wrong:g} of wrong answers"
    )
    back = f"rolled back as soon as it is shown to be worse, each with alpha {rules.alpha:g}"
    hours = () if rules.max_hours is None else (f"or undecided for {rules.max_hours:g} hours",)
    return (limits, back, *hours)
