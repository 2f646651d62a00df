"""The model knows of its training rows alone, before it learns and afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.spec.models import Spec
from modelyard.training.config import resolve
from modelyard.training.engine import engine
from modelyard.training.fit import fit
from modelyard.training.rows import SPLIT, TEST, TRAIN

pytestmark = pytest.mark.heavy


def rows() -> pd.DataFrame:
    """Rows to test on are far off, have a word, a colour and a length of their own, and gaps."""
    source = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "x": source.normal(size=60),
            "gaps": source.normal(size=60),
            "colour": source.choice(["red", "blue"], size=60),
            "words": ["one two"] * 60,
            "y": source.choice(["a", "b"], size=60),
            SPLIT: [0] * 40 + [1] * 10 + [2] * 10,
        }
    )
    test = table[SPLIT] == TEST
    table.loc[test, ["x", "gaps"]] += 100
    table.loc[test, "colour"] = "green"
    table.loc[test, "words"] = "one two three four five"
    table.loc[table.index % 7 == 0, "gaps"] = None
    return table


def spec() -> Spec:
    scaled = {"normalization": "zscore", "missing_value_strategy": "fill_with_mean"}
    inputs: list[dict[str, Any]] = [
        {"name": "x", "type": "number", "preprocessing": scaled},
        {"name": "gaps", "type": "number", "preprocessing": scaled},
        {"name": "colour", "type": "category"},
        {"name": "words", "type": "text", "encoder": {"type": "embed"}},
    ]
    return Spec.model_validate(
        {
            "name": "known",
            "data": {"path": "data"},
            "model": {
                "input_features": inputs,
                "output_features": [{"name": "y", "type": "category"}],
                "combiner": {"type": "concat"},
                "trainer": {"epochs": 1, "batch_size": 16},
            },
        }
    )


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the trained model keeps of its data."""
    return train(rows(), tmp_path_factory.mktemp("learned"))


def train(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    with engine(spec().resources, "train"):
        config = resolve(spec())
    fitted = fit(spec(), config, table, folder, lambda *_: None)
    text = (fitted.model / "training_set_metadata.json").read_bytes()
    return dict(json.loads(text))


def test_numbers_are_scaled_by_the_training_rows(learned: dict[str, Any]) -> None:
    training = rows()[lambda table: table[SPLIT] == TRAIN]["x"]
    assert learned["x"]["mean"] == pytest.approx(training.mean(), rel=1e-5)
    assert learned["x"]["std"] == pytest.approx(training.std(), rel=1e-5)


def test_gaps_are_filled_from_the_training_rows(learned: dict[str, Any]) -> None:
    training = rows()[lambda table: table[SPLIT] == TRAIN]["gaps"]
    filled = learned["gaps"]["preprocessing"]["computed_fill_value"]
    assert filled == pytest.approx(training.mean(), rel=1e-5)


def test_words_and_lengths_come_from_the_training_rows(learned: dict[str, Any]) -> None:
    assert "green" not in learned["colour"]["str2idx"]
    assert "three" not in learned["words"]["str2idx"]
    assert {"one", "two"} <= set(learned["words"]["str2idx"])


def test_ludwig_is_left_as_it_was(learned: dict[str, Any]) -> None:
    from ludwig.data import preprocessing

    del learned
    assert preprocessing.build_metadata.__name__ == "build_metadata"
    assert preprocessing.build_metadata.__module__ == "ludwig.data.preprocessing"
