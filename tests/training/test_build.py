"""`build` writes Ludwig's whole configuration, or says which field is wrong."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.build import build
from tests.training.samples import Chain, iris_rows, iris_spec, save_split, workspace_in

pytestmark = pytest.mark.heavy


def changed(path: list[str | int], value: object) -> Spec:
    """The iris spec with one place of its model changed."""
    model = json.loads(json.dumps(iris_spec().model))
    here: Any = model
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return iris_spec(model=model)


def refusal(tmp_path: Path, spec: Spec) -> str:
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, iris_rows())
    with pytest.raises(TrainingError) as caught:
        build(spec, split, workspace)
    return str(caught.value)


def test_every_default_is_written_out(iris: Chain) -> None:
    config = json.loads(iris.workspace.path(iris.built.config).read_text())
    assert config["trainer"]["optimizer"]["type"] == "adam"
    assert config["trainer"]["batch_size"] == 16
    assert config["input_features"][0]["encoder"]["type"] == "passthrough"


def test_the_split_is_the_data_sections(iris: Chain) -> None:
    config = json.loads(iris.workspace.path(iris.built.config).read_text())
    assert config["preprocessing"]["split"] == {"type": "fixed", "column": "split"}


def test_batch_sizes_are_said_and_not_left_to_a_stopwatch(iris: Chain) -> None:
    config = json.loads(iris.workspace.path(iris.built.config).read_text())
    assert config["trainer"]["eval_batch_size"] == 128


def test_what_was_built_is_built_once(iris: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.training.build.resolve", None)
    assert build(iris.spec, iris.split, iris.workspace) == iris.built


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["trainer", "epochs"], "ten", "model.trainer.epochs"),
        (["combiner", "type"], "concatt", "model.combiner.type"),
        (["input_features", 2, "type"], "nummber", "model.input_features.petal_length.type"),
        (["combiner", "output_sise"], 3, "Ludwig does not know model.combiner.output_sise"),
        (["trainer", "optimizer"], {"type": "adam", "momentumm": 1}, "momentumm"),
        (["backend"], {"type": "ray"}, "model.backend has no place in a spec (say what"),
        (["hyperopt"], {}, "model.hyperopt has no place in a spec"),
        (["preprocessing"], {"split": {"type": "random"}}, "model.preprocessing.split"),
        (
            ["input_features", 0, "preprocessing"],
            {"mode": "lazy_cached"},
            "another data set's files",
        ),
        (["input_features", 0, "column"], "petal", "the data have no column petal (columns: "),
        (["output_features", 0, "name"], "a.b", "Ludwig would rename the feature 'a.b'"),
    ],
)
def test_a_wrong_model_is_refused_at_its_field(
    tmp_path: Path, path: list[str | int], value: object, said: str
) -> None:
    text = refusal(tmp_path, changed(path, value))
    assert said in text or (said == "Ludwig would rename the feature 'a.b'" and "a.b" in text)
    assert "\n" not in text


def test_ludwig_says_nothing_on_the_console(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    workspace = workspace_in(tmp_path)
    before = list(logging.getLogger().handlers)
    build(iris_spec(), save_split(workspace, iris_rows()), workspace)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == before
