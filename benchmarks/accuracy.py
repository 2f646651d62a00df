"""Test accuracy of a spec over several seeds, beside logistic regression where the inputs are numbers.

    python benchmarks/accuracy.py model_specs/digits-cnn.yaml --seeds 1 2 3

The split stays the spec's own: only the training's seed changes. Nothing is tracked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.artifacts import SplitData
from modelyard.data.pull import pull
from modelyard.data.split import split
from modelyard.data.transform import transform
from modelyard.settings import Settings, get_settings
from modelyard.spec.load import load_spec
from modelyard.spec.models import Spec
from modelyard.training.build import build
from modelyard.training.evaluate import evaluate
from modelyard.training.log import Untracked
from modelyard.training.train import train
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class Result:
    """One training."""

    seed: int
    accuracy: float
    epochs: int
    seconds: float


def main() -> None:
    """Train once a seed and print the table."""
    arguments = _arguments()
    spec = load_spec(arguments.spec)
    with tempfile.TemporaryDirectory(prefix="modelyard-accuracy-") as home:
        settings = Settings(project=get_settings().project, MODELYARD_HOME=Path(home))  # type: ignore[call-arg]  # the field's alias
        workspace = Workspace(settings)
        data = _split(spec, workspace)
        print(
            f"{spec.name}: {data.rows[0]} training, {data.rows[1]} validation, {data.rows[2]} test rows"
        )
        results = [_train(spec, data, workspace, seed) for seed in arguments.seeds]
        _print(results)
        _compare(spec, data, workspace)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path, help="the spec's file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="training seeds")
    return parser.parse_args()


def _split(spec: Spec, workspace: Workspace) -> SplitData:
    transformed = transform(spec, pull(spec, workspace), workspace)
    return split(spec, transformed, workspace, _no_reference)


def _no_reference(_rows: DataFrame, _files: Path, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)


def _train(spec: Spec, data: SplitData, workspace: Workspace, seed: int) -> Result:
    seeded = spec.model_copy(update={"seed": seed})
    began = time.perf_counter()
    built = build(seeded, data, workspace)
    trained = train(seeded, data, built, workspace, Untracked())
    evaluation = evaluate(seeded, data, trained, workspace, None)
    return Result(
        seed=seed,
        accuracy=evaluation.metrics[f"{spec.outputs[0].name}.accuracy"],
        epochs=trained.epochs,
        seconds=time.perf_counter() - began,
    )


def _print(results: list[Result]) -> None:
    print("seed   accuracy   epochs   seconds")
    for one in results:
        print(f"{one.seed:4d}   {one.accuracy:8.4f}   {one.epochs:6d}   {one.seconds:7.1f}")
    accuracies = [one.accuracy for one in results]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    print(f"mean   {statistics.fmean(accuracies):8.4f}   (standard deviation {spread:.4f})")


def _compare(spec: Spec, data: SplitData, workspace: Workspace) -> None:
    """Fit logistic regression on the same rows; like the network, it leaves the test rows alone."""
    if any(feature.type != "number" for feature in spec.inputs):
        return
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = pd.read_parquet(workspace.path(data.table))
    columns, label = [feature.column for feature in spec.inputs], spec.outputs[0].column
    learned, test = rows[rows["split"] != 2], rows[rows["split"] == 2]  # noqa: PLR2004 - the test split
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(learned[columns], learned[label])
    accuracy = model.score(test[columns], test[label])
    print(f"logistic regression (training and validation rows): {accuracy:.4f}")
    model.fit(rows.loc[rows["split"] == 0, columns], rows.loc[rows["split"] == 0, label])
    print(f"logistic regression (training rows): {model.score(test[columns], test[label]):.4f}")


if __name__ == "__main__":
    main()
