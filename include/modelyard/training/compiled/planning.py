"""Read a plan off the files that Ludwig keeps with a model; Ludwig itself is not asked.

Each function mirrors one `add_feature_data` or `postprocess_predictions` of Ludwig 0.17
(`ludwig/features/*_feature.py`); what has no mirror raises NotCompiledError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from modelyard.features import ModelFeature
from modelyard.training.compiled.plan import (
    BinaryInput,
    CategoryInput,
    InputPlan,
    LabelOutput,
    MaskOutput,
    NotCompiledError,
    NumberInput,
    NumberOutput,
    OutputPlan,
    Plan,
    Scaling,
    SeriesInput,
    TextInput,
)
from modelyard.training.compiled.planning_images import plan_image
from modelyard.training.compiled.tokens import TOKENIZERS
from modelyard.training.signature import CONFIG, METADATA, describe

FILLS: Final = frozenset(
    {"fill_with_const", "fill_with_mode", "fill_with_mean", "fill_with_false", "fill_with_true"}
)
BOOLEANS: Final = ("False", "True")
UNKNOWN, START, STOP, PADDING = "<UNK>", "<SOS>", "<EOS>", "<PAD>"


def plan_of(model: Path) -> Plan:
    """Plan a model's features.

    Raises:
        NotCompiledError: a feature has no compiled path.
        TrainingError: the folder holds no Ludwig model.
    """
    signature = describe(model)
    config: dict[str, Any] = json.loads((model / CONFIG).read_bytes())
    metadata: dict[str, Any] = json.loads((model / METADATA).read_bytes())
    inputs = zip(signature.inputs, config["input_features"], strict=True)
    outputs = zip(signature.outputs, config["output_features"], strict=True)
    return Plan(
        inputs=tuple(_input(feature, one, metadata[feature.name]) for feature, one in inputs),
        outputs=tuple(_output(feature, one, metadata[feature.name]) for feature, one in outputs),
    )


def _input(feature: ModelFeature, config: Mapping[str, Any], known: Mapping[str, Any]) -> InputPlan:
    planner = _INPUTS.get(feature.type)
    if planner is None:
        raise NotCompiledError(_no_path(feature, "an input"))
    if known["preprocessing"].get("cache_encoder_embeddings"):
        message = f"{feature.name}: its encoder's answers are cached, and not computed"
        raise NotCompiledError(message)
    return planner(feature, config, known)


def _output(
    feature: ModelFeature, config: Mapping[str, Any], known: Mapping[str, Any]
) -> OutputPlan:
    del config
    if feature.type == "number":
        return NumberOutput(name=feature.name, scaling=scaling(feature.name, known))
    if feature.type in {"category", "binary"}:
        return LabelOutput(
            name=feature.name,
            kind=feature.type,
            labels=tuple(map(str, known.get("idx2str") or known.get("bool2str") or BOOLEANS)),
            shown=feature.categories or (),
        )
    if feature.type == "image":
        greys = known["preprocessing"].get("channel_class_map") or ()
        if not greys or any(len(value) != 1 for value in greys):
            message = f"{feature.name}: only masks of grey values have a compiled path"
            raise NotCompiledError(message)
        return MaskOutput(name=feature.name, greys=tuple(int(value[0]) for value in greys))
    raise NotCompiledError(_no_path(feature, "an output"))


def _no_path(feature: ModelFeature, role: str) -> str:
    return f"{feature.name}: {role} of type {feature.type} has no compiled path"


def scaling(name: str, known: Mapping[str, Any]) -> Scaling:
    """Read a number's normalisation."""
    normalization = known["preprocessing"].get("normalization")
    if normalization is None:
        return Scaling(kind="none")
    if normalization == "log1p":
        return Scaling(kind="log1p")
    if normalization == "zscore":
        # Ludwig divides by 1 where all training values were the same.
        shift, scale = known["mean"], known["std"] or 1.0
    elif normalization == "minmax":
        shift, scale = known["min"], known["max"] - known["min"]
    elif normalization == "iq":
        shift, scale = known["q2"], known["q3"] - known["q1"]
    else:
        message = f"{name}: the normalization {normalization} has no compiled path"
        raise NotCompiledError(message)
    if not scale:
        message = f"{name}: all of its training values are the same"
        raise NotCompiledError(message)
    return Scaling(kind="affine", shift=float(shift), scale=float(scale))


def _fill(known: Mapping[str, Any]) -> Any:
    """What Ludwig puts for a missing value; None where it may not miss."""
    preprocessing = known["preprocessing"]
    if preprocessing.get("missing_value_strategy") not in FILLS:
        return None
    return preprocessing.get("computed_fill_value")


def _number(
    feature: ModelFeature, _config: Mapping[str, Any], known: Mapping[str, Any]
) -> NumberInput:
    if known["preprocessing"].get("outlier_strategy") is not None:
        message = f"{feature.name}: outlier_strategy has no compiled path"
        raise NotCompiledError(message)
    fill = _fill(known)
    return NumberInput(
        name=feature.name,
        column=feature.column,
        fill=None if fill is None else float(fill),
        scaling=scaling(feature.name, known),
    )


def _category(
    feature: ModelFeature, _config: Mapping[str, Any], known: Mapping[str, Any]
) -> CategoryInput:
    places: dict[str, int] = known["str2idx"]
    commonest = max(known["str2freq"], key=known["str2freq"].__getitem__)
    fill = _fill(known)
    return CategoryInput(
        name=feature.name,
        column=feature.column,
        fill=None if fill is None else str(fill),
        places=places,
        unknown=places[UNKNOWN] if UNKNOWN in places else places[commonest],
    )


def _binary(
    feature: ModelFeature, _config: Mapping[str, Any], known: Mapping[str, Any]
) -> BinaryInput:
    return BinaryInput(
        name=feature.name,
        column=feature.column,
        fill=_fill(known),
        words=known.get("str2bool") or {},
    )


def _text(feature: ModelFeature, config: Mapping[str, Any], known: Mapping[str, Any]) -> TextInput:
    preprocessing = known["preprocessing"]
    prompt = preprocessing.get("prompt") or config.get("prompt") or {}
    if prompt.get("template") or prompt.get("task") or prompt.get("retrieval", {}).get("type"):
        message = f"{feature.name}: a prompt has no compiled path"
        raise NotCompiledError(message)
    places: dict[str, int] = known["str2idx"]
    unknown = known.get("unknown_symbol") or preprocessing["unknown_symbol"]
    padding = known.get("padding_symbol") or preprocessing["padding_symbol"]
    fill = _fill(known)
    return TextInput(
        name=feature.name,
        column=feature.column,
        fill=None if fill is None else str(fill),
        tokenizer=_tokenizer(feature, known),
        lowercase=bool(preprocessing["lowercase"]),
        places=places,
        unknown=places[unknown],
        start=places[START],
        stop=places[STOP],
        padding=places[padding],
        length=int(known["max_sequence_length"]),
        left=preprocessing["padding"] != "right",
    )


def _series(
    feature: ModelFeature, _config: Mapping[str, Any], known: Mapping[str, Any]
) -> SeriesInput:
    preprocessing = known["preprocessing"]
    if preprocessing.get("window_size") or preprocessing.get("horizon"):
        message = f"{feature.name}: a window over several rows has no compiled path"
        raise NotCompiledError(message)
    fill = _fill(known)
    return SeriesInput(
        name=feature.name,
        column=feature.column,
        fill=None if fill is None else str(fill),
        tokenizer=_tokenizer(feature, known),
        padding=float(preprocessing["padding_value"]),
        length=int(known["max_timeseries_length"]),
        left=preprocessing["padding"] != "right",
    )


def _tokenizer(feature: ModelFeature, known: Mapping[str, Any]) -> str:
    name = str(known["preprocessing"]["tokenizer"])
    if name not in TOKENIZERS:
        message = f"{feature.name}: the tokenizer {name} has no compiled path"
        raise NotCompiledError(message)
    return name


_INPUTS: Final[
    Mapping[str, Callable[[ModelFeature, Mapping[str, Any], Mapping[str, Any]], InputPlan]]
] = {
    "number": _number,
    "category": _category,
    "binary": _binary,
    "text": _text,
    "sequence": _text,
    "timeseries": _series,
    "image": plan_image,
}
