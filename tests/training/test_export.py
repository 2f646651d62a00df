"""A model that is exported from one project trains to the same weights in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelyard.cli.spec import app
from modelyard.settings import get_settings
from modelyard.spec import ludwig_schema, rules
from modelyard.spec.load import find_specs, load_spec
from modelyard.spec.models import Spec
from modelyard.spec.reference import reusable
from modelyard.training.build import build
from modelyard.training.config import resolve
from modelyard.training.engine import engine
from modelyard.training.log import Untracked
from modelyard.training.train import train
from tests.training.samples import Chain, save_split, workspace_in

pytestmark = pytest.mark.heavy

SPECS = Path(__file__).parents[2] / "model_specs"


@pytest.fixture
def exported(iris: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model of iris, as one project's command writes it."""
    one = tmp_path / "one"
    (one / "model_specs").mkdir(parents=True)
    text = json.dumps(iris.spec.model_dump(mode="json"))
    (one / "model_specs" / "iris.json").write_text(text)
    monkeypatch.chdir(one)
    monkeypatch.setenv("MODELYARD_HOME", str(one / "home"))
    get_settings.cache_clear()
    file = tmp_path / "two" / "model_specs" / "shared" / "model.json"
    said = CliRunner().invoke(app, ["export", "iris", "-o", str(file)])
    get_settings.cache_clear()
    assert said.exit_code == 0, said.exception
    return file


def test_another_project_trains_the_same_weights_from_it(
    iris: Chain, exported: Path, tmp_path: Path
) -> None:
    specs = exported.parents[1]
    (specs / "other.yaml").write_text(
        "name: other\ndata: {path: data/iris.csv}\nmodel: {from: shared/model.json}\n"
    )
    spec = load_spec(specs / "other.yaml")
    workspace = workspace_in(tmp_path / "two")
    split = save_split(workspace, iris.rows)
    built = build(spec, split, workspace)
    trained = train(spec, split, built, workspace, Untracked())
    assert built.config_hash == iris.built.config_hash
    assert trained.weights_hash == iris.trained.weights_hash


def test_what_lies_over_it_changes_what_is_trained(exported: Path) -> None:
    specs = exported.parents[1]
    (specs / "other.yaml").write_text(
        "name: other\ndata: {path: data/iris.csv}\n"
        "model: {from: shared/model.json, trainer: {epochs: 1, learning_rate: null}}\n"
    )
    trainer: Any = load_spec(specs / "other.yaml").model["trainer"]
    assert trainer["epochs"] == 1
    assert "learning_rate" not in trainer
    assert trainer["batch_size"] == 16


FEATURES: list[dict[str, Any]] = [
    {"name": "x", "type": "image", "encoder": {"type": "stacked_cnn"}},
    {"name": "x", "type": "image", "encoder": {"type": "resnet", "use_pretrained": False}},
    {"name": "x", "type": "text", "encoder": {"type": "rnn", "cell_type": "lstm"}},
    {"name": "x", "type": "timeseries", "encoder": {"type": "transformer"}},
    {"name": "x", "type": "sequence", "encoder": {"type": "parallel_cnn"}},
    {"name": "x", "type": "category", "encoder": {"type": "dense"}},
]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f"{f['type']}-{f['encoder']['type']}")
def test_a_resolved_model_passes_the_check_and_resolves_to_itself(feature: dict[str, Any]) -> None:
    model = {
        "input_features": [feature],
        "output_features": [{"name": "y", "type": "category"}],
        "combiner": {"type": "concat"},
    }
    spec = Spec.model_validate({"name": "any", "data": {"path": "x"}, "model": model})
    with engine(spec.resources, "resolve"):
        full = resolve(spec)
        again = Spec.model_validate({**spec.model_dump(), "model": reusable(full)})
        assert ludwig_schema.check(again.model) == []
        assert rules.check(again.model_dump(mode="json")) == []
        assert resolve(again) == full


@pytest.mark.parametrize("path", find_specs(SPECS), ids=lambda path: path.stem)
def test_ludwig_resolves_each_spec_that_ships_and_the_result_passes_the_check(path: Path) -> None:
    spec = load_spec(path)
    with engine(spec.resources, "resolve"):
        full = reusable(resolve(spec))
    assert ludwig_schema.check(full) == []
    assert rules.check(spec.model_dump(mode="json") | {"model": full}) == []
