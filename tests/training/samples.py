"""Small real data sets, split and ready, and the way of a model through the stages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelyard.artifacts import (
    BuiltModel,
    Evaluation,
    RegisteredVersion,
    SplitData,
    TrainedModel,
)
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace


def workspace_in(folder: Path) -> Workspace:
    """A workspace with its home in a folder."""
    return Workspace(
        Settings(project=folder, MODELYARD_HOME=folder / "home")  # type: ignore[call-arg]
    )


def save_split(workspace: Workspace, rows: pd.DataFrame, name: str = "table") -> SplitData:
    """Write rows with a split column as the stage `split` would."""
    folder = workspace.home / "stages" / "split" / name
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "table.parquet"
    rows.to_parquet(table, index=False)
    reference = folder / "reference"
    reference.mkdir(exist_ok=True)
    (reference / "profile.bin").write_bytes(b"a profile")
    counts = tuple(int((rows["split"] == part).sum()) for part in range(3))
    return SplitData(
        key=name,
        table=workspace.relative(table),
        folder=workspace.relative(folder),
        rows=counts,  # type: ignore[arg-type]
        content_hash=hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest(),
        reference=workspace.relative(reference),
    )


def split_column(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    """60 % training, 20 % validation, 20 % test, shuffled."""
    parts = np.repeat([0, 1, 2], [count * 6 // 10, count * 2 // 10, count - count * 8 // 10])
    return np.random.default_rng(seed).permutation(parts)


def iris_rows() -> pd.DataFrame:
    """Iris with named classes."""
    from sklearn.datasets import load_iris

    bunch = load_iris(as_frame=True)
    rows = bunch.frame.rename(columns=lambda name: name.replace(" (cm)", "").replace(" ", "_"))
    rows["species"] = [str(bunch.target_names[number]) for number in rows.pop("target")]
    return rows.assign(split=split_column(len(rows)))


def iris_spec(**changes: Any) -> Spec:
    """A small network on iris."""
    columns = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    content: dict[str, Any] = {
        "name": "iris",
        "data": {"path": "data/iris.csv"},
        "model": {
            "input_features": [
                {"name": name, "type": "number", "preprocessing": {"normalization": "zscore"}}
                for name in columns
            ],
            "output_features": [{"name": "species", "type": "category"}],
            "combiner": {"type": "concat", "num_fc_layers": 1, "output_size": 16},
            "trainer": {"epochs": 6, "batch_size": 16, "learning_rate": 0.02},
        },
        "gate": [{"metric": "species.accuracy", "at_least": 0.8}],
    }
    return Spec.model_validate(content | changes)


def write_digits(workspace: Workspace, count: int = 240) -> pd.DataFrame:
    """Write the first digits as PNG files beside the table, with relative paths."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    folder = workspace.home / "stages" / "split" / "table" / "images"
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.clip(bunch.images[number] * 16, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return pd.DataFrame(
        {
            "image": [f"images/{number}.png" for number in range(count)],
            "label": bunch.target[:count],
            "split": split_column(count),
        }
    )


def digits_spec(epochs: int = 3, **changes: Any) -> Spec:
    """A small convolutional network on digits."""
    layers = [{"num_filters": 16, "filter_size": 3, "padding": "same", "pool_size": None}]
    encoder = {"type": "stacked_cnn", "conv_layers": layers, "fc_layers": [{"output_size": 32}]}
    image = {
        "name": "image",
        "type": "image",
        "encoder": encoder,
        "preprocessing": {"num_channels": 1},
    }
    content: dict[str, Any] = {
        "name": "digits",
        "data": {"path": "data/digits"},
        "model": {
            "input_features": [image],
            "output_features": [{"name": "label", "type": "category"}],
            "trainer": {"epochs": epochs, "batch_size": 32, "learning_rate": 0.005},
        },
    }
    return Spec.model_validate(content | changes)


@dataclass(frozen=True, slots=True)
class Chain:
    """A model that went through every stage from build to register."""

    workspace: Workspace
    spec: Spec
    rows: pd.DataFrame
    split: SplitData
    built: BuiltModel
    trained: TrainedModel
    evaluation: Evaluation
    version: RegisteredVersion


def make_chain(folder: Path, spec: Spec, rows: pd.DataFrame, run: str = "run-1") -> Chain:
    """Go through the stages as `modelyard.stages` does."""
    from modelyard.tracking.evaluations import log_evaluation
    from modelyard.tracking.registry import register
    from modelyard.tracking.runs import open_run
    from modelyard.training.build import build
    from modelyard.training.evaluate import evaluate
    from modelyard.training.train import train

    workspace = workspace_in(folder)
    split = save_split(workspace, rows)
    built = build(spec, split, workspace)
    with open_run(spec, workspace, run=run) as tracked:
        trained = train(spec, split, built, workspace, tracked)
    evaluation = evaluate(spec, split, trained, workspace, None)
    log_evaluation(workspace, trained, evaluation)
    version = register(spec, workspace, split, trained, evaluation, run=run)
    return Chain(workspace, spec, rows, split, built, trained, evaluation, version)
