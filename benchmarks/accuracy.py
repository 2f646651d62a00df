"""A spec's figures on its test rows over several seeds, beside a linear model where inputs are numbers.

    python benchmarks/accuracy.py model_specs/digits-cnn.yaml --seeds 1 2 3 --metrics accuracy

The split stays the spec's own: only the training's seed changes. Nothing is tracked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
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
from modelyard.training.metrics import of_labels, of_numbers
from modelyard.training.rows import SPLIT
from modelyard.training.train import train
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame
    from sklearn.pipeline import Pipeline

METRICS = {
    "category": ("accuracy",),
    "binary": ("accuracy",),
    "number": ("rmse", "mae"),
    "image": ("dice", "iou", "otsu_dice", "otsu_iou", "otsu_training_dice", "otsu_training_iou"),
}
TEST = 2


@dataclass(frozen=True, slots=True)
class Result:
    """One training; seconds are those of its build, training and evaluation."""

    seed: int
    figures: tuple[float, ...]
    epochs: int
    seconds: float
    cpu_seconds: float


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
        metrics = arguments.metrics or METRICS.get(spec.outputs[0].type, ("loss",))
        _head(metrics)
        results = []
        for seed in arguments.seeds:
            results.append(_train(spec, data, workspace, seed, metrics))
            _row(results[-1])
        _means(results)
        _compare(spec, data, workspace)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path, help="the spec's file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="training seeds")
    parser.add_argument(
        "--metrics", nargs="+", help="metrics of the first output; by its type unless given"
    )
    return parser.parse_args()


def _split(spec: Spec, workspace: Workspace) -> SplitData:
    transformed = transform(spec, pull(spec, workspace), workspace)
    return split(spec, transformed, workspace, _no_reference)


def _no_reference(_rows: DataFrame, _files: Path, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)


def _train(
    spec: Spec, data: SplitData, workspace: Workspace, seed: int, metrics: Sequence[str]
) -> Result:
    seeded = spec.model_copy(update={"seed": seed})
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    built = build(seeded, data, workspace)
    trained = train(seeded, data, built, workspace, Untracked())
    evaluation = evaluate(seeded, data, trained, workspace, None)
    return Result(
        seed=seed,
        figures=tuple(evaluation.metrics[f"{spec.outputs[0].name}.{name}"] for name in metrics),
        epochs=trained.epochs,
        seconds=time.perf_counter() - began,
        cpu_seconds=sum(os.times()[:4]) - cpu,
    )


def _head(metrics: Sequence[str]) -> None:
    print("seed", *(f"{name:>10s}" for name in metrics), "  epochs   seconds   CPU seconds")


def _row(one: Result) -> None:
    figures = " ".join(f"{value:10.4f}" for value in one.figures)
    print(
        f"{one.seed:4d} {figures}   {one.epochs:6d}   {one.seconds:7.1f}   {one.cpu_seconds:11.1f}"
    )


def _means(results: Sequence[Result]) -> None:
    columns = list(zip(*(one.figures for one in results), strict=True))
    print("mean", *(f"{statistics.fmean(column):10.4f}" for column in columns))
    if len(results) > 1:
        print("std ", *(f"{statistics.stdev(column):10.4f}" for column in columns))


def _compare(spec: Spec, data: SplitData, workspace: Workspace) -> None:
    """Fit a linear model on the same rows; like the network, it leaves the test rows alone."""
    output = spec.outputs[0]
    if [feature.type for feature in spec.inputs] == ["text"] and output.type == "category":
        _compare_texts(spec, data, workspace)
    if output.type not in {"category", "binary", "number"} or any(
        feature.type != "number" for feature in spec.inputs
    ):
        return
    import pandas as pd

    rows = pd.read_parquet(workspace.path(data.table))
    columns = [feature.column for feature in spec.inputs]
    test = rows[rows[SPLIT] == TEST]
    known = {"training rows": rows[rows[SPLIT] == 0], "and validation": rows[rows[SPLIT] != TEST]}
    for name, learned in known.items():
        model = _linear(output.type).fit(learned[columns], learned[output.column])
        predicted = model.predict(test[columns]).tolist()
        measure = of_numbers if output.type == "number" else of_labels
        figures = measure(test[output.column].tolist(), predicted)
        shown = "  ".join(f"{metric} {value:.4f}" for metric, value in figures.items())
        print(f"linear model, {name}: {shown}")


def _compare_texts(spec: Spec, data: SplitData, workspace: Workspace) -> None:
    import pandas as pd
    from baselines import text_baseline

    rows = pd.read_parquet(workspace.path(data.table))
    parts = [rows[rows[SPLIT] == part] for part in range(TEST + 1)]
    text, label = spec.inputs[0].column, spec.outputs[0].column
    columns = [part[column] for part in parts[:TEST] for column in (text, label)]
    model, strength = text_baseline(*columns)
    figures = of_labels(parts[TEST][label].tolist(), model.predict(parts[TEST][text]).tolist())
    shown = "  ".join(f"{metric} {value:.4f}" for metric, value in figures.items())
    print(f"TF-IDF and logistic regression, C = {strength:g} by validation: {shown}")


def _linear(output: str) -> Pipeline:
    """Ordinary least squares, or logistic regression as scikit-learn has it."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LinearRegression() if output == "number" else LogisticRegression(max_iter=1000)
    return make_pipeline(StandardScaler(), model)


if __name__ == "__main__":
    main()
