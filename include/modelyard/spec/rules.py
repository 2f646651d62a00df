"""What must hold between the parts of a spec, and what `model:` must leave to Modelyard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from modelyard.spec import ludwig_limits, ludwig_schema, monitor_rules, paths
from modelyard.spec.conv import too_small
from modelyard.spec.hints import did_you_mean, nearest
from modelyard.spec.lines import FieldPath, Finding

type Raw = Mapping[str, JsonValue]

# The table's column of the split, which Modelyard adds.
_SPLIT_COLUMN: Final = "split"
_OURS: Final[tuple[tuple[FieldPath, str], ...]] = (
    (("hyperopt",), "Modelyard searches by itself: write a section tune: beside model:"),
    (("backend",), "say what a training may use in resources:"),
    (("preprocessing", "split"), "say how rows are divided in data.split"),
)
# What each prediction of an answer holds beside the outputs.
_ANSWER_FIELDS: Final = ("id", "version")
_CLASSES: Final = ("binary", "category")
# What evaluate measures on the test split beyond Ludwig's metrics, for the gate.
_WEIGHTED: Final = ("precision_weighted", "recall_weighted", "f1_weighted")
MEASURED: Final[Mapping[str, tuple[str, ...]]] = {
    "category": _WEIGHTED,
    "binary": _WEIGHTED,
    "number": ("rmse", "mae"),
    "image": ("dice", "iou", "dice_pooled", "pixel_accuracy"),
}
_GRACE: Final = 3


def check(raw: Raw) -> list[Finding]:
    """Return everything that is wrong between parts of a spec, whatever else is wrong in it."""
    model = raw.get("model")
    if not isinstance(model, dict):
        return []
    return [
        *_sections_of_ours(model),
        *_names(model),
        *_images(model),
        *_stratify(raw, model),
        *_metrics(raw, model),
        *_parameters(raw, model),
        *ludwig_limits.check(model, on_gpu=_on_gpu(raw)),
        *_weights(raw, model),
        *_search(raw, model),
        *_resources(raw),
        *_rollout(raw, model),
        *monitor_rules.check(raw, model),
    ]


def ours() -> tuple[FieldPath, ...]:
    """The paths in `model:` that Modelyard has a section of its own for."""
    return tuple(path for path, _hint in _OURS)


def _sections_of_ours(model: Raw) -> Iterator[Finding]:
    for path, hint in _OURS:
        *parents, key = path
        section = paths.get(dict(model), tuple(parents))
        if isinstance(section, dict) and key in section:
            yield Finding(("model", *path), "does not belong in model:", hint)


def _names(model: Raw) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for section, index, name in paths.features(dict(model)):
        path = ("model", section, index, "name")
        where = f"{section}[{index}]"
        if name in seen:
            yield Finding(path, f"`{name}` is already the name of {seen[name]}", "names are unique")
        elif name == _SPLIT_COLUMN:
            hint = "rename the column in data.transform"
            yield Finding(path, "`split` is the column in which Modelyard keeps the split", hint)
        elif section == "output_features" and name in _ANSWER_FIELDS:
            message = f"`{name}` is what each answer of the endpoint holds already"
            yield Finding(path, message, "rename the column in data.transform")
        elif "." in name:
            hint = "rename the column in data.transform"
            yield Finding(path, f"the name `{name}` has a dot, which separates keys", hint)
        seen.setdefault(name, where)


def _images(model: Raw) -> Iterator[Finding]:
    for section, index, _name in paths.features(dict(model)):
        path: FieldPath = (section, index)
        feature = paths.get(dict(model), path)
        if isinstance(feature, dict) and feature.get("type") == "image":
            for finding in too_small(feature):
                yield Finding(("model", *path, *finding.path), finding.message, finding.hint)


def _feature(model: Raw, section: str, name: str) -> Raw | None:
    for kind, index, other in paths.features(dict(model)):
        if kind == section and other == name:
            found = paths.get(dict(model), (kind, index))
            return found if isinstance(found, dict) else None
    return None


def _stratify(raw: Raw, model: Raw) -> Iterator[Finding]:
    column = paths.get(dict(raw), ("data", "split", "stratify"))
    if not isinstance(column, str):
        return
    path = ("data", "split", "stratify")
    columns: dict[str, str] = {}
    for section, index, name in paths.features(dict(model)):
        feature = paths.get(dict(model), (section, index))
        if isinstance(feature, dict):
            columns[str(feature.get("column", name))] = str(feature.get("type"))
    checks = paths.get(dict(raw), ("data", "checks"))
    named = (
        {str(paths.get(entry, ("column",))) for entry in checks}
        if isinstance(checks, list)
        else set()
    )
    near = nearest(column, columns)
    if column in columns and columns[column] not in _CLASSES:
        message = (
            f"`{column}` is a {columns[column]} feature, which has no classes to keep the shares of"
        )
        yield Finding(path, message, "stratify by a category or binary column")
    elif column not in columns and column not in named and near:
        hint = f"did you mean `{near}`? If not, name `{column}` in data.checks"
        yield Finding(path, f"`{column}` is no column of a feature", hint)


def _metrics(raw: Raw, model: Raw) -> Iterator[Finding]:
    rules = raw.get("gate")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            yield from _metric(model, rule.get("metric"), ("gate", index, "metric"))
    yield from _metric(model, paths.get(dict(raw), ("tune", "metric")), ("tune", "metric"))


def _metric(model: Raw, text: JsonValue, path: FieldPath) -> Iterator[Finding]:
    if not isinstance(text, str) or "." not in text:
        if path[0] == "tune" and isinstance(text, str):
            yield Finding(path, "must be OUTPUT.METRIC, such as label.accuracy")
        return
    output, metric = text.split(".", 1)
    outputs = [
        name
        for section, _index, name in paths.features(dict(model))
        if section == "output_features"
    ]
    if output == "combined" and path[0] == "tune":
        if metric != "loss":
            yield Finding(
                path, f"combined has no metric `{metric}`", "combined.loss is its only one"
            )
    elif outputs and output not in outputs:
        yield Finding(
            path, f"`{output}` is no output feature", did_you_mean(output, outputs, of="outputs")
        )
    elif outputs:
        yield from _metric_of(model, output, metric, path)


def _metric_of(model: Raw, output: str, metric: str, path: FieldPath) -> Iterator[Finding]:
    kind = (_feature(model, "output_features", output) or {}).get("type")
    if kind not in ludwig_schema.output_types():
        return
    known = [*ludwig_schema.metrics(str(kind))]
    if path[0] == "gate":
        known += MEASURED.get(str(kind), ())
    if metric not in known:
        message = f"`{metric}` is no metric of the {kind} output `{output}`"
        yield Finding(path, message, did_you_mean(metric, known, of="metrics"))


def _parameters(raw: Raw, model: Raw) -> Iterator[Finding]:
    parameters = paths.get(dict(raw), ("tune", "parameters"))
    for key, space in parameters.items() if isinstance(parameters, dict) else ():
        path = ("tune", "parameters", key)
        try:
            place = paths.find_in_model(dict(model), key)
        except (ValueError, paths.NoSuchPlace) as error:
            yield Finding(path, f"leads nowhere in model: {error}", "such as trainer.learning_rate")
            continue
        if place[0] not in model and not ludwig_schema.is_section(str(place[0])):
            names = [name for _section, _index, name in paths.features(dict(model))]
            message = f"`{place[0]}` is neither a section of model: nor a feature"
            yield Finding(path, message, did_you_mean(place[0], [*names, *model]))
            continue
        yield from _tried(model, place, space, path)


def _tried(model: Raw, place: FieldPath, space: JsonValue, path: FieldPath) -> Iterator[Finding]:
    """Check each value that the search may try as if it stood in `model:`."""
    before = {finding.path for finding in ludwig_schema.check(dict(model))}
    for value in _samples(space):
        try:
            tried = paths.put(dict(model), place, value)
        except paths.NoSuchPlace as error:
            yield Finding(path, f"leads nowhere in model: {error}")
            return
        for finding in ludwig_schema.check(tried):
            if finding.path not in before and finding.path[: len(place)] == place:
                yield Finding(path, finding.message, finding.hint)
                return
            if finding.path not in before and place[: len(finding.path)] == finding.path:
                yield Finding(path, finding.message, finding.hint)
                return


def _weights(raw: Raw, model: Raw) -> Iterator[Finding]:
    """Weights belong to a torchvision encoder of this model that wants some."""
    given = raw.get("weights")
    takers = {
        name: paths.get(dict(model), (section, index, "encoder"))
        for section, index, name in paths.features(dict(model))
        if section == "input_features"
    }
    for name in given if isinstance(given, dict) else ():
        path: FieldPath = ("weights", name)
        encoder = takers.get(name)
        kind = encoder.get("type") if isinstance(encoder, dict) else None
        if name not in takers:
            hint = did_you_mean(name, takers, of="inputs")
            yield Finding(path, f"`{name}` is no input feature", hint)
        elif kind not in ludwig_limits.TORCHVISION:
            message = f"the encoder of `{name}` is none of torchvision's"
            yield Finding(path, message, "such as encoder: {type: resnet, model_variant: 18}")
        elif isinstance(encoder, dict) and encoder.get("use_pretrained") is False:
            message = f"`{name}` is to start from weights, and use_pretrained is false"
            yield Finding(path, message, "take one of the two away")


def _search(raw: Raw, model: Raw) -> Iterator[Finding]:
    """What a search asks for must be possible together."""
    tune = raw.get("tune")
    if not isinstance(tune, dict):
        return
    parameters = tune.get("parameters")
    for key, space in parameters.items() if isinstance(parameters, dict) else ():
        kind = space.get("space") if isinstance(space, dict) else None
        if tune.get("search") == "grid" and kind in ("uniform", "loguniform"):
            message = f"grid search has no values to go through in a {kind} space"
            hint = "list them: {space: choice, categories: [...]}; or search: tpe or random"
            yield Finding(("tune", "parameters", key), message, hint)
    yield from _early_stopping(tune, paths.get(dict(model), ("trainer", "epochs")))


def _early_stopping(tune: Raw, epochs: JsonValue) -> Iterator[Finding]:
    """A scheduler must be there to be asked, and able to stop something."""
    grace = tune.get("grace_epochs", _GRACE)
    if not isinstance(grace, int):
        return
    if tune.get("scheduler") is None:
        if grace != _GRACE:
            message = "grace_epochs has no meaning without a scheduler"
            yield Finding(("tune", "grace_epochs"), message, "add scheduler: asha, or take it away")
    elif isinstance(epochs, int) and epochs <= grace and tune.get("folds") is None:
        message = f"no trial can be stopped early: it may train {grace} epochs and has {epochs}"
        field = "grace_epochs" if "grace_epochs" in tune else "scheduler"
        yield Finding(("tune", field), message, "fewer grace_epochs, or no scheduler")


def _on_gpu(raw: Raw) -> bool:
    gpus = paths.get(dict(raw), ("resources", "gpus"))
    return isinstance(gpus, int | float) and gpus > 0


def _resources(raw: Raw) -> Iterator[Finding]:
    """One training runs in one process: Ludwig's Ray backend cannot be had with these packages."""
    resources = raw.get("resources")
    if not isinstance(resources, dict):
        return
    instead = "more cpus or gpus for one training; trials and folds do spread over the cluster"
    if resources.get("backend") == "ray":
        message = "`ray` needs dask, which Modelyard's pinned packages leave out (docs/models.md)"
        yield Finding(("resources", "backend"), message, instead)
        return
    workers = resources.get("workers")
    if isinstance(workers, int) and workers > 1:
        message = f"{workers} workers cannot share one training with backend local"
        yield Finding(("resources", "workers"), message, instead)


def _rollout(raw: Raw, model: Raw) -> Iterator[Finding]:
    """What the rules of a rollout need to be of any use."""
    serve = raw.get("serve")
    if not isinstance(serve, dict):
        return
    inputs = [str(f.get("column", f.get("name"))) for f in _features(model, "input_features")]
    sticky = serve.get("sticky")
    if isinstance(sticky, str) and sticky not in inputs:
        hint = did_you_mean(sticky, inputs, of="inputs")
        yield Finding(("serve", "sticky"), f"`{sticky}` is the column of no input", hint)
    rollout = serve.get("rollout")
    if not isinstance(rollout, dict):
        return
    path: FieldPath = ("serve", "rollout")
    if not rollout.get("shadow"):
        for name in sorted({"max_disagreement", "shadow_share"} & rollout.keys()):
            if rollout[name] not in (None, 1):
                message = f"{name} has no meaning without shadow"
                yield Finding((*path, name), message, "add shadow: 200, or take it away")
    labels = any(feature.get("type") in _CLASSES for feature in _features(model, "output_features"))
    for name in sorted({"max_disagreement", "min_labels"} & rollout.keys()):
        if rollout[name] and not labels:
            message = f"{name} counts labels, and no output is a category or binary"
            yield Finding((*path, name), message, "take it away")


def _features(model: Raw, section: str) -> list[Raw]:
    entries = model.get(section)
    return (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )


def _samples(space: JsonValue) -> list[JsonValue]:
    if not isinstance(space, dict):
        return []
    categories = space.get("categories")
    if isinstance(categories, list):
        return categories
    return [space[end] for end in ("lower", "upper") if end in space]
