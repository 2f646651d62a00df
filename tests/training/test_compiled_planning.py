"""A plan is read off Ludwig's files; what has no compiled path says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.training.compiled.plan import (
    BinaryInput,
    CategoryInput,
    ImageInput,
    LabelOutput,
    MaskOutput,
    NotCompiledError,
    NumberInput,
    NumberOutput,
    Plan,
    Scaling,
    SeriesInput,
    TextInput,
)
from modelyard.training.compiled.planning import plan_of
from modelyard.training.signature import CONFIG, METADATA

FILLED = {"missing_value_strategy": "fill_with_const", "computed_fill_value": 0.0}
LABEL = {"idx2str": ["no", "yes"], "str2idx": {"no": 0, "yes": 1}, "str2freq": {"no": 9, "yes": 1}}
DROPPED = {"missing_value_strategy": "drop_row"}
PICTURE = {
    "height": 8,
    "width": 6,
    "num_channels": 1,
    "resize_method": "interpolate",
    "missing_value_strategy": "bfill",
}


def write(
    folder: Path, inputs: dict[str, tuple[str, Any]], outputs: dict[str, tuple[str, Any]]
) -> Path:
    """Write what Ludwig keeps: feature name to its type and metadata."""
    config = {
        role: [
            {"name": name, "column": name, "type": kind, "encoder": {}, "preprocessing": {}}
            for name, (kind, _) in features.items()
        ]
        for role, features in (("input_features", inputs), ("output_features", outputs))
    }
    (folder / CONFIG).write_text(json.dumps(config))
    metadata = {name: known for name, (_, known) in (inputs | outputs).items()}
    (folder / METADATA).write_text(json.dumps(metadata))
    return folder


def planned(folder: Path, kind: str, known: dict[str, Any]) -> Plan:
    label = {"label": ("category", LABEL | {"preprocessing": DROPPED})}
    return plan_of(write(folder, {"x": (kind, known)}, label))


def number(**changes: Any) -> dict[str, Any]:
    known = {"mean": 2.0, "std": 4.0, "min": 1.0, "max": 9.0, "q1": 3.0, "q2": 5.0, "q3": 6.0}
    return known | {"preprocessing": FILLED | {"normalization": "zscore"} | changes}


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("zscore", Scaling(kind="affine", shift=2, scale=4)),
        ("minmax", Scaling(kind="affine", shift=1, scale=8)),
        ("iq", Scaling(kind="affine", shift=5, scale=3)),
        ("log1p", Scaling(kind="log1p")),
        (None, Scaling(kind="none")),
    ],
)
def test_each_normalisation_has_its_shift_and_scale(
    tmp_path: Path, normalization: str | None, expected: Scaling
) -> None:
    [one] = planned(tmp_path, "number", number(normalization=normalization)).inputs
    assert one == NumberInput(name="x", column="x", fill=0.0, scaling=expected)


def test_a_number_that_never_varied_is_divided_by_one(tmp_path: Path) -> None:
    [one] = planned(tmp_path, "number", number() | {"std": 0.0}).inputs
    assert isinstance(one, NumberInput)
    assert one.scaling.scale == 1


def test_an_unknown_category_is_the_unknown_one_or_else_the_commonest(tmp_path: Path) -> None:
    known = LABEL | {"preprocessing": FILLED | {"computed_fill_value": "<UNK>"}}
    [one] = planned(tmp_path, "category", known).inputs
    assert isinstance(one, CategoryInput)
    assert (one.unknown, one.fill) == (0, "<UNK>")
    places = {"<UNK>": 0, "no": 1, "yes": 2}
    [one] = planned(tmp_path, "category", known | {"str2idx": places}).inputs
    assert isinstance(one, CategoryInput)
    assert one.unknown == 0


def test_a_row_without_a_value_that_training_dropped_is_not_filled(tmp_path: Path) -> None:
    [one] = planned(tmp_path, "binary", {"preprocessing": DROPPED}).inputs
    assert one == BinaryInput(name="x", column="x", fill=None, words={})


def text(**changes: Any) -> dict[str, Any]:
    marks = ["<EOS>", "<SOS>", "<PAD>", "<UNK>", "a"]
    preprocessing = FILLED | {"tokenizer": "space", "lowercase": False, "padding": "left"}
    return {
        "str2idx": {mark: place for place, mark in enumerate(marks)},
        "unknown_symbol": "<UNK>",
        "padding_symbol": "<PAD>",
        "max_sequence_length": 7,
        "preprocessing": preprocessing | changes,
    }


def test_a_text_keeps_its_marks_and_its_length(tmp_path: Path) -> None:
    [one] = planned(tmp_path, "text", text()).inputs
    assert isinstance(one, TextInput)
    assert (one.stop, one.start, one.padding, one.unknown) == (0, 1, 2, 3)
    assert (one.length, one.left, one.lowercase) == (7, True, False)


def series(**changes: Any) -> dict[str, Any]:
    preprocessing = FILLED | {"tokenizer": "space", "padding": "right", "padding_value": -1}
    return {"max_timeseries_length": 9, "preprocessing": preprocessing | changes}


def test_a_series_keeps_its_padding(tmp_path: Path) -> None:
    [one] = planned(tmp_path, "timeseries", series()).inputs
    assert isinstance(one, SeriesInput)
    assert (one.padding, one.length, one.left) == (-1, 9, False)


def test_an_image_keeps_its_size(tmp_path: Path) -> None:
    [one] = planned(tmp_path, "image", {"preprocessing": PICTURE}).inputs
    assert isinstance(one, ImageInput)
    assert (one.channels, one.height, one.width, one.mean) == (1, 8, 6, None)


def test_outputs_keep_what_turns_them_back(tmp_path: Path) -> None:
    mask = {"preprocessing": PICTURE | {"channel_class_map": [[0], [255]]}}
    outputs = {
        "label": ("category", LABEL | {"preprocessing": DROPPED}),
        "sick": ("binary", {"preprocessing": DROPPED}),
        "much": ("number", number()),
        "mask": ("image", mask),
    }
    plan = plan_of(write(tmp_path, {"x": ("number", number())}, outputs))
    assert plan.outputs == (
        LabelOutput(name="label", kind="category", labels=("no", "yes"), shown=("no", "yes")),
        LabelOutput(name="sick", kind="binary", labels=("False", "True"), shown=("False", "True")),
        NumberOutput(name="much", scaling=Scaling(kind="affine", shift=2, scale=4)),
        MaskOutput(name="mask", greys=(0, 255)),
    )


@pytest.mark.parametrize(
    ("kind", "known", "says"),
    [
        ("audio", {"preprocessing": {}}, "x: an input of type audio"),
        ("number", number(outlier_strategy="fill_with_mean"), "x: outlier_strategy"),
        ("number", number(normalization="odd"), "x: the normalization odd"),
        ("number", number(normalization="minmax") | {"max": 1.0}, "values are the same"),
        ("number", number(cache_encoder_embeddings=True), "answers are cached"),
        ("text", text(tokenizer="hf_tokenizer"), "x: the tokenizer hf_tokenizer"),
        ("text", text(prompt={"template": "Say {x}"}), "x: a prompt"),
        ("timeseries", series(window_size=3), "x: a window over several rows"),
        (
            "image",
            {"preprocessing": PICTURE | {"channel_class_map": [[0], [1]]}},
            "x: a mask as an input",
        ),
    ],
)
def test_what_has_no_compiled_path_says_so(
    tmp_path: Path, kind: str, known: dict[str, Any], says: str
) -> None:
    with pytest.raises(NotCompiledError, match=says):
        planned(tmp_path, kind, known)


@pytest.mark.parametrize(
    ("kind", "known", "says"),
    [
        ("set", {"preprocessing": {}}, "y: an output of type set"),
        ("image", {"preprocessing": PICTURE}, "y: only masks of grey values"),
        (
            "image",
            {"preprocessing": PICTURE | {"channel_class_map": [[0, 0, 0], [1, 2, 3]]}},
            "y: only masks of grey values",
        ),
    ],
)
def test_an_output_without_a_compiled_path_says_so(
    tmp_path: Path, kind: str, known: dict[str, Any], says: str
) -> None:
    folder = write(tmp_path, {"x": ("number", number())}, {"y": (kind, known)})
    with pytest.raises(NotCompiledError, match=says):
        plan_of(folder)


def test_a_plan_outlives_its_file(tmp_path: Path) -> None:
    plan = planned(tmp_path, "text", text())
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
