"""What the section `monitor` needs from the rest of a spec to be of any use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from modelyard.spec.hints import did_you_mean
from modelyard.spec.lines import FieldPath, Finding

type Raw = Mapping[str, JsonValue]

CLASSES: Final = ("category", "binary")
# What the prediction log keeps as it came, so that it can be learned from again.
KEPT_AS_THEY_ARE: Final = ("number", *CLASSES)
LABEL_METRICS: Final = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "brier",
    "calibration_error",
)
OF_A_CLASS: Final = ("precision", "recall", "f1")
NUMBER_METRICS: Final = ("rmse", "mae", "r2")
WATCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "category": LABEL_METRICS,
    "binary": LABEL_METRICS,
    "number": NUMBER_METRICS,
}


def check(raw: Raw, model: Raw) -> Iterator[Finding]:
    """Yield what is wrong between `monitor` and the model's features."""
    monitor = raw.get("monitor")
    if not isinstance(monitor, dict):
        return
    inputs, outputs = _types(model, "input_features"), _types(model, "output_features")
    yield from _segment(monitor.get("segment_by"), inputs)
    metrics = monitor.get("metrics")
    for index, metric in enumerate(metrics if isinstance(metrics, list) else ()):
        yield from _metric(metric, ("monitor", "metrics", index), outputs)
    yield from _retraining(monitor, inputs)


def _types(model: Raw, section: str) -> dict[str, str]:
    """Column to type for inputs, name to type for outputs, as each is logged."""
    entries = model.get(section)
    found = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and "name" in entry:
            name = entry["name"]
            key = entry.get("column", name) if section == "input_features" else name
            found[str(key)] = str(entry.get("type"))
    return found


def _segment(column: JsonValue, inputs: Mapping[str, str]) -> Iterator[Finding]:
    if not isinstance(column, str):
        return
    path: FieldPath = ("monitor", "segment_by")
    kind = inputs.get(column)
    if kind is None:
        hint = did_you_mean(column, inputs, of="inputs")
        yield Finding(path, f"`{column}` is the column of no input", hint)
    elif kind not in CLASSES:
        message = f"`{column}` is a {kind} input, whose values make no segments"
        yield Finding(path, message, "a category or binary column")


def _metric(text: JsonValue, path: FieldPath, outputs: Mapping[str, str]) -> Iterator[Finding]:
    if not isinstance(text, str) or "." not in text or not outputs:
        return
    output, metric = text.split(".", 1)
    kind = outputs.get(output)
    if kind is None:
        hint = did_you_mean(output, outputs, of="outputs")
        yield Finding(path, f"`{output}` is no output feature", hint)
    elif kind not in WATCHED:
        message = f"`{output}` is a {kind} output, and labels for it cannot be compared yet"
        yield Finding(path, message, "take it away; drift of its inputs and outputs is watched")
    elif metric not in WATCHED[kind] and not _of_one_class(kind, metric):
        message = f"`{metric}` is not watched for the {kind} output `{output}`"
        yield Finding(path, message, did_you_mean(metric, WATCHED[kind], of="metrics"))


def _of_one_class(kind: str, metric: str) -> bool:
    """Whether it is a figure of one class, such as f1.malignant; the classes are in the data."""
    figure, _dot, label = metric.partition(".")
    return kind in CLASSES and figure in OF_A_CLASS and bool(label)


def _retraining(monitor: Raw, inputs: Mapping[str, str]) -> Iterator[Finding]:
    retrain = monitor.get("retrain")
    if not isinstance(retrain, dict) or retrain.get("data") != "labelled":
        return
    whole = sorted(name for name, kind in inputs.items() if kind not in KEPT_AS_THEY_ARE)
    if whole and monitor.get("keep_inputs") is not True:
        message = f"`{whole[0]}` is not kept whole, so nothing could be learned from it again"
        yield Finding(("monitor", "retrain", "data"), message, "add keep_inputs: true to monitor")
