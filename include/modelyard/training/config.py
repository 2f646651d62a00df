"""Ludwig's full configuration of a spec's `model:`, and its refusals at the right field."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.rows import SPLIT

IGNORED = re.compile(r'"(?P<key>[^"]+)" is not a valid parameter for the "(?P<schema>[^"]+)"')
RENAMED_BY_LUDWIG = re.compile(r"[(){}.:\"'\[\]]")
BATCH = 128
ELSEWHERE = {
    "backend": "say what the training may use in resources:",
    "hyperopt": "say what to search in tune:",
}


def resolve(spec: Spec, model: dict[str, JsonValue] | None = None) -> dict[str, JsonValue]:
    """Write out every default of `model:` (the spec's, unless given), split by the fixed column.

    Call this inside `engine(...)`.

    Raises:
        TrainingError: Ludwig refuses the configuration, or would drop a part of it.
    """
    wanted = copy.deepcopy(spec.model if model is None else model)
    _refuse_what_stands_elsewhere(wanted)
    _refuse_names_that_ludwig_changes(spec)
    preprocessing = wanted.setdefault("preprocessing", {})
    assert isinstance(preprocessing, dict), "the spec's check holds"
    preprocessing["split"] = {"type": "fixed", "column": SPLIT}
    _fix_batch_sizes(wanted)
    _refuse_shared_caches(wanted)
    resolved, dropped = _ask_ludwig(wanted)
    if dropped:
        fields = ", ".join(_place(key, schema, wanted) for key, schema in dropped)
        message = f"Ludwig does not know {fields}"
        raise TrainingError(message, hint="modelyard spec check says what is near")
    return resolved


def _refuse_shared_caches(model: dict[str, JsonValue]) -> None:
    """Ludwig keys this cache by feature name and number of rows, so it mixes data sets up."""
    for path in _find("mode", model):
        if _at(path, model) == "lazy_cached":
            message = f"{dotted(path, model)}: lazy_cached may train on another data set's files"
            raise TrainingError(message, hint="use lazy, or eager where memory allows")


def _at(path: Sequence[str | int], config: JsonValue) -> JsonValue:
    for step in path:
        config = config[step]  # type: ignore[index]  # the path comes from this config
    return config


def _fix_batch_sizes(model: dict[str, JsonValue]) -> None:
    """Say the sizes that Ludwig would otherwise find by timing, another one at each training."""
    trainer = model.setdefault("trainer", {})
    if not isinstance(trainer, dict):
        return
    size = trainer.setdefault("batch_size", BATCH)
    if trainer.get("eval_batch_size") in {None, "auto"}:
        trainer["eval_batch_size"] = max(BATCH, size if isinstance(size, int) else 0)


def _ask_ludwig(
    config: dict[str, JsonValue],
) -> tuple[dict[str, JsonValue], list[tuple[str, str]]]:
    """Return the full configuration, and the keys that Ludwig dropped with a mere warning."""
    from ludwig.error import ConfigValidationError
    from ludwig.schema.model_types.base import ModelConfig

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            resolved = ModelConfig.from_dict(config).to_dict()
        except (ConfigValidationError, ValueError, KeyError, TypeError) as error:
            raise _translated(error, config) from error
    matches = (IGNORED.search(str(warning.message)) for warning in caught)
    dropped = [(match["key"], match["schema"]) for match in matches if match]
    return _plain(resolved), list(dict.fromkeys(dropped))


def _translated(error: Exception, config: dict[str, JsonValue]) -> TrainingError:
    cause = error.__cause__
    path: Sequence[str | int] = tuple(getattr(cause, "absolute_path", ()))
    reason = str(getattr(cause, "message", None) or error).strip()
    text = " ".join(reason.split())[:400]
    field = dotted(path, config)
    return TrainingError(f"Ludwig refuses {field}: {text}")


def dotted(path: Sequence[str | int], config: JsonValue) -> str:
    """Spell a path into `model:` with dots; features by their names."""
    parts, here = ["model"], config
    for step in path:
        here = here[step]  # type: ignore[index]  # the path comes from this config
        name = here.get("name") if isinstance(step, int) and isinstance(here, dict) else None
        parts.append(str(name if name is not None else step))
    return ".".join(parts)


def _place(key: str, schema: str, config: dict[str, JsonValue]) -> str:
    places = [dotted(path, config) for path in _find(key, config)]
    return " or ".join(places) if places else f"{key} (in {schema})"


def _find(
    key: str, value: JsonValue, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        if key in value:
            yield (*path, key)
        for name, part in value.items():
            yield from _find(key, part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _find(key, part, (*path, number))


def _refuse_what_stands_elsewhere(model: dict[str, JsonValue]) -> None:
    for key, hint in ELSEWHERE.items():
        if key in model:
            message = f"model.{key} has no place in a spec"
            raise TrainingError(message, hint=hint)
    preprocessing = model.get("preprocessing")
    if isinstance(preprocessing, dict) and "split" in preprocessing:
        message = "model.preprocessing.split has no place in a spec"
        raise TrainingError(message, hint="say how rows are divided in data.split:")


def _refuse_names_that_ludwig_changes(spec: Spec) -> None:
    for feature in (*spec.inputs, *spec.outputs):
        allowed = RENAMED_BY_LUDWIG.sub("_", feature.name)
        if allowed != feature.name:
            message = f"Ludwig would rename the feature {feature.name!r}"
            hint = f"name it {allowed} and give column: {feature.column!r}"
            raise TrainingError(message, hint=hint)


def _plain(value: Any) -> Any:
    """Turn what Ludwig returns into what JSON knows."""
    import json

    return json.loads(json.dumps(value, default=str))
