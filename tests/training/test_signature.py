"""A model's signature comes from the files beside its weights, without Ludwig."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelyard.errors import TrainingError
from modelyard.training.signature import describe, write_columns
from tests.training.samples import digits_spec


def feature(name: str, kind: str, strategy: str = "fill_with_const") -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "column": name,
        "preprocessing": {"missing_value_strategy": strategy},
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What Ludwig leaves beside the weights, cut down."""
    config = {
        "input_features": [
            feature("image", "image", "bfill"),
            feature("age", "number"),
            feature("city", "category"),
        ],
        "output_features": [feature("label", "category"), feature("sick", "binary", "drop_row")],
    }
    metadata = {
        "image": {"preprocessing": {"height": 8, "width": 9, "num_channels": 1}},
        "age": {"mean": 3.0},
        "city": {"idx2str": ["<UNK>", "Bergen", "Ghent"]},
        "label": {"idx2str": ["3", "1"]},
        "sick": {"bool2str": ["no", "yes"]},
    }
    (tmp_path / "model_hyperparameters.json").write_text(json.dumps(config))
    (tmp_path / "training_set_metadata.json").write_text(json.dumps(metadata))
    return tmp_path


def test_an_image_has_its_size(model: Path) -> None:
    image = describe(model).inputs[0]
    assert (image.height, image.width, image.channels) == (8, 9, 1)
    assert image.required


def test_labels_are_listed_without_ludwigs_own(model: Path) -> None:
    signature = describe(model)
    assert signature.inputs[2].categories == ("Bergen", "Ghent")
    assert [output.categories for output in signature.outputs] == [("3", "1"), ("no", "yes")]


def test_a_binary_output_without_words_is_false_or_true(model: Path) -> None:
    (model / "training_set_metadata.json").write_text("{}")
    assert describe(model).outputs[1].categories == ("False", "True")


def test_what_training_could_fill_need_not_be_given(model: Path) -> None:
    assert not describe(model).inputs[1].required


def test_what_never_was_missing_must_be_given(model: Path) -> None:
    rows = pd.DataFrame({"image": ["a.png"], "label": [1]})
    write_columns(digits_spec(), rows, model)
    columns = json.loads((model / "columns.json").read_text())
    assert columns["label"] == {"column": "label", "required": True}


def test_the_tables_own_column_name_is_kept(model: Path) -> None:
    names = {"age": {"column": "age (years)", "required": False}}
    (model / "columns.json").write_text(json.dumps(names))
    age = describe(model).inputs[1]
    assert (age.name, age.column, age.required) == ("age", "age (years)", False)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([3.0, None, 1.0, 2.00000001], {"low": 1.0, "middle": 2.0, "high": 3.0}),
        (["7", "text"], {"low": 7.0, "middle": 7.0, "high": 7.0}),
        ([1.0, float("inf")], {}),
        ([None, None], {}),
    ],
)
def test_numbers_have_the_range_that_training_saw(
    model: Path, values: list[object], known: dict[str, float]
) -> None:
    spec = digits_spec(
        model={
            "input_features": [{"name": "age", "type": "number"}],
            "output_features": [{"name": "label", "type": "category"}],
        }
    )
    rows = pd.DataFrame({"age": values, "label": "a"})
    write_columns(spec, rows, model)
    config = json.loads((model / "model_hyperparameters.json").read_text())
    config["input_features"] = [feature("age", "number")]
    (model / "model_hyperparameters.json").write_text(json.dumps(config))
    [age] = describe(model).inputs
    assert {key: getattr(age, key) for key in known} == known
    assert (age.low is None) == (not known)


@pytest.mark.parametrize("content", [None, "{"])
def test_a_folder_without_a_model_is_refused(model: Path, content: str | None) -> None:
    file = model / "model_hyperparameters.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(TrainingError, match=r"model_hyperparameters\.json is missing or broken"):
        describe(model)


def test_a_mask_has_its_grey_values_and_a_series_its_steps(model: Path) -> None:
    config = json.loads((model / "model_hyperparameters.json").read_text())
    config["input_features"].append(feature("series", "timeseries"))
    config["input_features"].append(feature("text", "text"))
    config["output_features"].append(feature("mask", "image"))
    metadata = json.loads((model / "training_set_metadata.json").read_text())
    metadata["series"] = {"max_timeseries_length": 29}
    metadata["text"] = {"max_sequence_length": 64}
    size = {"height": 8, "width": 8, "num_channels": 1}
    metadata["mask"] = {"preprocessing": {**size, "channel_class_map": [[0], [255]]}}
    (model / "model_hyperparameters.json").write_text(json.dumps(config))
    (model / "training_set_metadata.json").write_text(json.dumps(metadata))
    signature = describe(model)
    assert signature.outputs[-1].categories == ("0", "255")
    assert [one.steps for one in signature.inputs] == [None, None, None, 29, 64]
    assert signature.inputs[0].categories is None
