"""Where Ludwig 0.17.10 accepts what it then cannot do: found by trying every encoder of its schema.

`docs/models.md` has the table of all that was tried, and the words of each failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from modelyard.spec import paths
from modelyard.spec.lines import FieldPath, Finding

type Raw = Mapping[str, JsonValue]

_BROKEN_OPTIMIZERS: Final = ("adafactor", "lamb", "lars", "lion", "schedule_free_adamw")
# Encoders that torchvision makes: images become 224 x 224 (or what the variant was made for).
TORCHVISION: Final = frozenset(
    {
        "alexnet", "convnext", "densenet", "efficientnet", "googlenet", "inceptionv3", "maxvit",
        "mnasnet", "mobilenetv2", "mobilenetv3", "regnet", "resnet", "resnext", "shufflenet_v2",
        "squeezenet", "swin_transformer", "vgg", "vit", "wide_resnet",
    }
)  # fmt: skip
# Modelyard's own combiner (training.extensions) and the encoder that it wants.
JOINS_SERIES: Final = ("series_rnn", "passthrough")
_OF_SEQUENCES: Final = ("sequence", "sequence_concat")
_FORGETS: Final = "trains, but Ludwig 0.17.10 cannot load the trained model again"
_REFUSES_ITSELF: Final = "Ludwig 0.17.10 writes out defaults for it that it refuses to read"
_SERIES: Final = ("sequence", "text", "timeseries", "audio")
_BROKEN: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("timeseries", "nbeats"): (_FORGETS, "rnn, transformer and parallel_cnn work"),
    ("timeseries", "patchtst"): (_FORGETS, "transformer, rnn and parallel_cnn work"),
    ("timeseries", "passthrough"): (
        "Ludwig 0.17.10 gives the combiner another size than it says",
        "dense, rnn and parallel_cnn work, or combiner: {type: series_rnn}",
    ),
    ("text", "tf_idf"): (_FORGETS, "embed and parallel_cnn work"),
    ("vector", "passthrough"): (_FORGETS, "dense works"),
    ("image", "mnasnet"): (_FORGETS, "mobilenetv3 and efficientnet work"),
    **{(kind, "jamba"): (_REFUSES_ITSELF, "mamba works") for kind in _SERIES},
    **{(kind, "mamba2"): (_REFUSES_ITSELF, "mamba works") for kind in _SERIES},
}


def check(model: Raw, *, on_gpu: bool = False) -> Iterator[Finding]:
    """Find encoders, sizes, combiners and ways to train that are known to fail."""
    for section, index, _name in paths.features(dict(model)):
        path: FieldPath = ("model", section, index)
        feature = paths.get(dict(model), (section, index))
        if section == "input_features" and isinstance(feature, dict):
            yield from _encoder(feature, path, _kind_of_combiner(model))
    yield from _combiner(model)
    trainer = model.get("trainer")
    if isinstance(trainer, dict):
        yield from _optimizer(trainer, on_gpu=on_gpu)
        yield from _clipping(trainer)


def _optimizer(trainer: Raw, *, on_gpu: bool) -> Iterator[Finding]:
    optimizer = trainer.get("optimizer")
    kind = str(optimizer.get("type", "")) if isinstance(optimizer, dict) else ""
    path: FieldPath = ("model", "trainer", "optimizer", "type")
    if kind in _BROKEN_OPTIMIZERS:
        message = f"`{kind}` does not work: Ludwig 0.17.10 cannot make it"
        yield Finding(path, message, "adam, adamw, sgd, rmsprop, nadam and radam work")
    elif (kind.startswith("paged_") or kind.endswith("_8bit")) and not on_gpu:
        yield Finding(path, f"`{kind}` needs a GPU", "give resources.gpus, or take adamw")


def _clipping(trainer: Raw) -> Iterator[Finding]:
    clipping = trainer.get("gradient_clipping")
    if not isinstance(clipping, dict) or clipping.get("clipvalue") is None:
        return
    if clipping.get("clipglobalnorm", "") is not None:
        path: FieldPath = ("model", "trainer", "gradient_clipping", "clipvalue")
        message = "fails beside clipglobalnorm, which is 0.5 unless it is null"
        yield Finding(path, message, "add clipglobalnorm: null")


def _kind_of_combiner(model: Raw) -> str | None:
    combiner = model.get("combiner")
    kind = combiner.get("type") if isinstance(combiner, dict) else None
    return kind if isinstance(kind, str) else None


def _combiner(model: Raw) -> Iterator[Finding]:
    kind = _kind_of_combiner(model)
    if kind == "tabpfn_v2":
        message = "`tabpfn_v2` needs the package tabpfn, which is not part of Modelyard"
        yield Finding(("model", "combiner", "type"), message, "ft_transformer and tabnet work")
    inputs = model.get("input_features")
    if kind not in _OF_SEQUENCES or not isinstance(inputs, list):
        return
    encoders = [entry.get("encoder") for entry in inputs if isinstance(entry, dict)]
    whole = [e for e in encoders if isinstance(e, dict) and e.get("reduce_output", "") is None]
    if not whole:
        message = f"`{kind}` joins sequences, and no input gives it one"
        hint = "write encoder: {type: rnn, reduce_output: null} in a sequence, text or timeseries"
        yield Finding(("model", "combiner", "type"), message, hint)


def _encoder(feature: Raw, path: FieldPath, joined_by: str | None) -> Iterator[Finding]:
    encoder = feature.get("encoder")
    kind = str(encoder.get("type")) if isinstance(encoder, dict) else ""
    broken = _BROKEN.get((str(feature.get("type")), kind))
    if broken is not None and (joined_by, kind) != JOINS_SERIES:
        why, hint = broken
        yield Finding((*path, "encoder", "type"), f"`{kind}` does not work: {why}", hint)
    preprocessing = feature.get("preprocessing")
    if feature.get("type") == "image" and kind in TORCHVISION and isinstance(preprocessing, dict):
        for side in ("height", "width"):
            if preprocessing.get(side) is not None:
                message = f"has no effect: {kind} takes images of the size that it was made for"
                yield Finding((*path, "preprocessing", side), message, "take it away")
