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
from modelyard.workspace import Workspace

IGNORED = re.compile(r'"(?P<key>[^"]+)" is not a valid parameter for the "(?P<schema>[^"]+)"')
RENAMED_BY_LUDWIG = re.compile(r"[(){}.:\"'\[\]]")
BATCH = 128
# Ludwig works these out anew each time.
CHOSEN_BY_LUDWIG = ("proc_column", "ludwig_version", "computed_fill_value")
ELSEWHERE = {
    "backend": "say what the training may use in resources:",
    "hyperopt": "say what to search in tune:",
}


def resolve(
    spec: Spec,
    model: dict[str, JsonValue] | None = None,
    *,
    workspace: Workspace | None = None,
) -> dict[str, JsonValue]:
    """Write out every default of `model:` (the spec's, unless given), split by the fixed column.

    With a workspace, the weights that image encoders start from are found, checked and kept too.
    Call this inside `engine(...)`.

    Raises:
        TrainingError: Ludwig refuses the configuration, or would drop a part of it; or weights
            are not to be had, or do not fit.
    """
    wanted = copy.deepcopy(spec.model if model is None else model)
    _refuse_what_stands_elsewhere(wanted)
    _refuse_names_that_ludwig_changes(spec)
    preprocessing = wanted.setdefault("preprocessing", {})
    assert isinstance(preprocessing, dict), "the spec's check holds"
    preprocessing["split"] = {"type": "fixed", "column": SPLIT}
    _fix_batch_sizes(wanted)
    _refuse_shared_caches(wanted)
    resolved, warned_of = _ask_ludwig(wanted)
    # Ludwig also warns of keys that it put there itself, such as class_weights in a focal loss.
    dropped = [(key, schema) for key, schema in warned_of if any(_find(key, wanted))]
    if dropped:
        fields = ", ".join(_place(key, schema, wanted) for key, schema in dropped)
        message = f"Ludwig does not know {fields}"
        raise TrainingError(message, hint="modelyard spec check says what is near")
    _refuse_what_ludwig_overrules(wanted, resolved)
    _refuse_what_cannot_be_read_again(resolved)
    if workspace is not None:
        from modelyard.training.pretrained import provide

        provide(spec, resolved, workspace)
    return resolved


def _refuse_what_ludwig_overrules(
    wanted: dict[str, JsonValue], resolved: dict[str, JsonValue]
) -> None:
    """Ludwig sets some options by the encoder, and says nothing when others were asked for."""
    for path, asked, given in overruled(wanted, resolved):
        message = f"{dotted(path, wanted)}: Ludwig makes {given!r} of {asked!r} here"
        raise TrainingError(message, hint=f"take it away, or write {given!r}")


def overruled(
    wanted: JsonValue, resolved: JsonValue, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], JsonValue, JsonValue]]:
    """List what was asked for and came back as another number, word or switch."""
    if isinstance(wanted, dict) and isinstance(resolved, dict):
        for key, value in wanted.items():
            if key in resolved:
                yield from overruled(value, resolved[key], (*path, key))
    elif isinstance(wanted, list) and isinstance(resolved, list) and len(wanted) == len(resolved):
        for number, pair in enumerate(zip(wanted, resolved, strict=True)):
            yield from overruled(*pair, (*path, number))
    elif isinstance(wanted, str | int | float) and not isinstance(resolved, dict | list):
        same = str(wanted).lower() == str(resolved).lower() or wanted == resolved
        if not same and path[-1] not in CHOSEN_BY_LUDWIG and wanted != "auto":
            yield path, wanted, resolved


def _refuse_what_cannot_be_read_again(resolved: dict[str, JsonValue]) -> None:
    """Training reads the resolved configuration, and some of Ludwig's encoders refuse their own."""
    try:
        _ask_ludwig(resolved)
    except TrainingError as error:
        message = f"Ludwig cannot read its own defaults of this model again: {error.message}"
        raise TrainingError(message, hint="take another encoder") from error


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
    return f"{' or '.join(places)} (in {schema})"


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
