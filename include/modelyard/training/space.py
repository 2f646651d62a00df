"""Search spaces: seeded samples, and dotted keys into a model's configuration."""

from __future__ import annotations

import copy
import itertools
import math
import random
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.spec.models import ChoiceSpace, IntegerSpace, TuneSpec, UniformSpace

LISTS = ("input_features", "output_features")


def sample(tune: TuneSpec, seed: int, trial: int) -> dict[str, JsonValue]:
    """Draw one configuration; the same seed and trial number give the same one everywhere."""
    source = random.Random(f"{seed}/{trial}")  # noqa: S311 - a search, not a secret
    return {key: _draw(tune.parameters[key], source) for key in sorted(tune.parameters)}


def _draw(space: UniformSpace | IntegerSpace | ChoiceSpace, source: random.Random) -> JsonValue:
    if isinstance(space, ChoiceSpace):
        return source.choice(space.categories)
    if isinstance(space, IntegerSpace):
        return source.choice(_whole_numbers(space))
    if space.space == "loguniform":
        drawn = math.exp(source.uniform(math.log(space.lower), math.log(space.upper)))
        return min(max(drawn, space.lower), space.upper)
    return source.uniform(space.lower, space.upper)


def grid(tune: TuneSpec) -> tuple[dict[str, JsonValue], ...]:
    """All combinations, the last key changing fastest, as far as `trials` reaches.

    Raises:
        TrainingError: a space has no end of values.
    """
    axes: list[Sequence[JsonValue]] = []
    for key, space in tune.parameters.items():
        if isinstance(space, UniformSpace):
            message = (
                f"tune.parameters.{key}: a grid cannot go through all of a {space.space} space"
            )
            raise TrainingError(message, hint="give choice or int, or search: tpe")
        axes.append(space.categories if isinstance(space, ChoiceSpace) else _whole_numbers(space))
    combinations = itertools.islice(itertools.product(*axes), tune.trials)
    return tuple(dict(zip(tune.parameters, values, strict=True)) for values in combinations)


def count(tune: TuneSpec) -> int:
    """How many trials the search has: those asked for, or all combinations of a smaller grid."""
    return len(grid(tune)) if tune.search == "grid" else tune.trials


def _whole_numbers(space: IntegerSpace) -> range:
    return range(space.lower, space.upper + 1, space.step)


def place(model: Mapping[str, JsonValue], values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the model with the values at their dotted keys.

    A feature goes by its name: `input_features.image.encoder.dropout`, or as in Ludwig's own
    search `image.encoder.dropout`.

    Raises:
        TrainingError: a key leads through something that is not a section.
    """
    changed = copy.deepcopy(dict(model))
    for key, value in values.items():
        _set(changed, key, value)
    return changed


def _set(model: dict[str, JsonValue], key: str, value: JsonValue) -> None:
    steps = key.removeprefix("model.").split(".")
    value = copy.deepcopy(value)
    if steps[0] not in model and _feature_list(model, steps[0]) is not None:
        steps.insert(0, str(_feature_list(model, steps[0])))
    here: JsonValue = model
    for step in steps[:-1]:
        here = _enter(here, step, key)
    if not isinstance(here, dict):
        raise _no_such_place(key, steps[-1])
    here[steps[-1]] = value


def _feature_list(model: Mapping[str, JsonValue], name: str) -> str | None:
    for section in LISTS:
        features = model.get(section)
        names = (
            [f.get("name") for f in features if isinstance(f, dict)]
            if isinstance(features, list)
            else []
        )
        if name in names:
            return section
    return None


def _enter(here: JsonValue, step: str, key: str) -> JsonValue:
    if isinstance(here, dict):
        return here.setdefault(step, {})
    if isinstance(here, list):
        for number, part in enumerate(here):
            if str(number) == step or (isinstance(part, dict) and part.get("name") == step):
                return part
    raise _no_such_place(key, step)


def _no_such_place(key: str, step: str) -> TrainingError:
    return TrainingError(
        f"tune.parameters.{key}: there is no {step} to change",
        hint="features go by name, such as input_features.image.encoder.dropout",
    )
