"""Look around for a plan: what was made before, what is served, what is registered. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from modelyard.artifacts import (
    Artifact,
    BuiltModel,
    CrossValidation,
    Evaluation,
    PulledData,
    SplitData,
    TrainedModel,
    TransformedData,
    TunedModel,
)
from modelyard.rollout.plan import Plan, PlanState, plan_spec
from modelyard.settings import Settings
from modelyard.spec.models import Spec, content_hash
from modelyard.stages import order
from modelyard.store.database import open_store
from modelyard.store.state import read_state
from modelyard.workspace import Workspace


class NotMade(Exception):  # noqa: N818 - it is an answer
    """What was asked for has not been made yet."""


class Looking(Workspace):
    """A workspace that finds what is there and makes nothing."""

    def once[A: Artifact](
        self, kind: type[A], depends_on: JsonValue, make: Callable[[Path, str], A]
    ) -> A:
        """Return what was made; raise NotMade otherwise."""
        del make

        def refuse(_folder: Path, _key: str) -> A:
            raise NotMade

        key = content_hash([kind.stage, depends_on, ""])
        folder = self.home / "stages" / kind.stage / key[:16]
        found = self._read(kind, folder)
        return refuse(folder, key) if found is None else found


def plan_run(spec: Spec, settings: Settings) -> Plan:
    """Say what a run of a spec would do.

    Raises:
        ModelyardError: the data's version cannot be told, or the registry does not answer.
    """
    looking = Looking(settings)
    made = _made(spec, looking)
    state = look_around(settings, spec.name).model_copy(
        update={
            "done": {stage: stage in made for stage in order(spec)},
            "registered": _registered(settings, spec, made),
        }
    )
    return plan_spec(spec, state, order(spec))


def look_around(settings: Settings, model: str) -> PlanState:
    """Read what is served and registered of a model."""
    from modelyard.tracking import registry

    versions = registry.versions(settings, model)
    if read_state(settings.database_url).revision is None:  # to open it would make it
        return PlanState(newest=max((one.version for one in versions), default=0))
    with open_store(settings.database_url) as store:
        variants, running = store.variants(model), store.rollout(model)
        policies = {one.version: one.policy for one in store.rollouts(model)}
    return PlanState(
        variants=tuple(variants),
        rollout=running,
        newest=max((one.version for one in versions), default=0),
        replicas={
            version: count
            for version, policy in policies.items()
            if isinstance(count := policy.get("replicas"), int)
        },
    )


def _made(spec: Spec, looking: Looking) -> dict[str, Artifact]:
    """Find the artifacts that a run would find, up to the first that is missing."""
    made: dict[str, Artifact] = {}
    for stage in order(spec):
        finder = _FINDERS.get(stage)
        if finder is None:
            break
        try:
            made[stage] = finder(spec, looking, made)
        except NotMade:
            break
    return made


def _pull(spec: Spec, looking: Looking, _made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.data.pull import pull

    return pull(spec, looking)


def _validate(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.data.validate import validate

    return validate(spec, cast("PulledData", made["pull"]), looking)


def _transform(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.data.transform import transform

    return transform(spec, cast("PulledData", made["pull"]), looking)


def _split(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.data.split import split

    found = cast("TransformedData", made["transform"])
    return split(spec, found, looking, lambda *_: None)


def _build(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.training.build import build

    return build(spec, cast("SplitData", made["split"]), looking)


def _tune(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.training.tune import tune

    split, built = cast("SplitData", made["split"]), cast("BuiltModel", made["build"])
    return tune(spec, split, built, looking, None, None)  # type: ignore[arg-type]


def _cross_validate(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.training.folds import cross_validate

    split = cast("SplitData", made["split"])
    found: CrossValidation = cross_validate(
        spec,
        split,
        _configuration(made),
        looking,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
    )
    return found


def _train(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.training.train import train

    split = cast("SplitData", made["split"])
    return train(spec, split, _configuration(made), looking, None)  # type: ignore[arg-type]


def _evaluate(spec: Spec, looking: Looking, made: Mapping[str, Artifact]) -> Artifact:
    from modelyard.training.evaluate import evaluate

    split, trained = cast("SplitData", made["split"]), cast("TrainedModel", made["train"])
    metrics = None
    if any(rule.of for rule in spec.gate):
        from modelyard.tracking.registry import champion

        best = champion(looking.settings, spec.name)
        if best is not None and best.mlflow_run != trained.mlflow_run:
            metrics = best.metrics
    found: Evaluation = evaluate(spec, split, trained, looking, metrics)
    return found


def _configuration(made: Mapping[str, Artifact]) -> BuiltModel | TunedModel:
    return cast("BuiltModel | TunedModel", made.get("tune", made["build"]))


def _registered(settings: Settings, spec: Spec, made: Mapping[str, Artifact]) -> int | None:
    from modelyard.tracking import registry

    trained = made.get("train")
    if not isinstance(trained, TrainedModel):
        return None
    return next(
        (
            one.version
            for one in registry.versions(settings, spec.name)
            if one.mlflow_run == trained.mlflow_run
        ),
        None,
    )


_FINDERS: Mapping[str, Callable[[Spec, Looking, Mapping[str, Artifact]], Artifact]] = {
    "pull": _pull,
    "validate": _validate,
    "transform": _transform,
    "split": _split,
    "build": _build,
    "tune": _tune,
    "cross_validate": _cross_validate,
    "train": _train,
    "evaluate": _evaluate,
}
