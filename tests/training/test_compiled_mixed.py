"""Numbers, categories and booleans with gaps, to a label, a boolean and a number: as Ludwig answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.spec.models import Spec
from modelyard.training.build import build
from modelyard.training.compiled import CompiledModel, open_compiled
from modelyard.training.evaluate import evaluate
from modelyard.training.log import Untracked
from modelyard.training.predictor import Predictor
from modelyard.training.train import train
from tests.training.samples import save_split, split_column, workspace_in

pytestmark = pytest.mark.heavy

COUNT = 90
FULL: dict[str, object] = {"size": 3.5, "width": 2.0, "colour": "red", "wet": "True", "sick": "no"}


def spec() -> Spec:
    filled = {"missing_value_strategy": "fill_with_mean", "normalization": "minmax"}
    model = {
        "input_features": [
            {"name": "size", "type": "number", "preprocessing": filled},
            {"name": "colour", "type": "category", "encoder": {"type": "onehot"}},
            {"name": "width", "type": "number", "preprocessing": {"normalization": "log1p"}},
            {"name": "wet", "type": "binary"},
            {"name": "sick", "type": "binary"},
        ],
        "output_features": [
            {"name": "kind", "type": "category"},
            {"name": "ripe", "type": "binary"},
            {"name": "price", "type": "number", "preprocessing": {"normalization": "log1p"}},
        ],
        "combiner": {"type": "concat", "num_fc_layers": 1, "output_size": 8},
        "trainer": {"epochs": 2, "batch_size": 16},
    }
    return Spec.model_validate({"name": "mixed", "data": {"path": "data/x"}, "model": model})


def rows() -> pd.DataFrame:
    noise = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "size": noise.normal(3, 1, COUNT),
            "colour": noise.choice(["red", "green", "blue"], COUNT),
            "width": noise.uniform(0.5, 5, COUNT),
            "wet": noise.random(COUNT) < 0.5,
            "sick": noise.choice(["yes", "no"], COUNT),
            "kind": noise.choice(["a", "b", "c"], COUNT),
            "ripe": noise.random(COUNT) < 0.5,
            "price": noise.uniform(1, 100, COUNT),
            "split": split_column(COUNT),
        }
    )
    table.loc[::7, ["size", "colour", "sick"]] = None
    return table


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompiledModel, Predictor]:
    workspace = workspace_in(tmp_path_factory.mktemp("mixed"))
    split = save_split(workspace, rows())
    trained = train(spec(), split, build(spec(), split, workspace), workspace, Untracked())
    evaluation = evaluate(spec(), split, trained, workspace, None)
    assert evaluation.compiled is not None
    compiled = open_compiled(workspace.path(evaluation.compiled))
    return compiled, Predictor(workspace.path(trained.model))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colour": "violet"},
        {"colour": " blue "},
        {"size": None, "colour": None, "sick": None},
        {"size": -1e30},
        {"wet": "False", "sick": "yes"},
    ],
)
def test_gaps_and_strangers_are_answered_as_ludwig_answers_them(
    both: tuple[CompiledModel, Predictor], changes: dict[str, Any]
) -> None:
    compiled, ludwig = both
    row = FULL | changes
    [answer] = compiled.answer([row])
    expected = ludwig.predict(pd.DataFrame([row])).iloc[0]
    for name in ("kind", "ripe"):
        assert answer[name]["prediction"] == expected[name]
        assert answer[name]["probability"] == pytest.approx(expected[f"{name}_probability"])
        wanted = expected[f"{name}_probabilities"]
        assert answer[name]["probabilities"] == pytest.approx(wanted, abs=1e-5)
    assert answer["price"]["prediction"] == pytest.approx(expected["price"], rel=1e-5)
