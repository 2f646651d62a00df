"""What `modelyard stage --write` leaves for DVC: the artifact, and figures that DVC can show."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import Evaluation, TrainedModel
from modelyard.training.train import HISTORY
from modelyard.workspace import Workspace, write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame


def write(artifact: JsonValue, stage: str, folder: Path, workspace: Workspace) -> None:
    """Write `STAGE.json` into `folder`, and beside it what `dvc metrics` and `dvc plots` read.

    `train` adds `history.csv` (one row an epoch), `evaluate` adds `metrics.json` and
    `predictions.csv` (one row a test sample: output, actual, predicted).
    """
    write_atomically(
        folder / f"{stage}.json", json.dumps(artifact, indent=2, sort_keys=True) + "\n"
    )
    if stage == TrainedModel.stage:
        _write_history(TrainedModel.model_validate(artifact), folder, workspace)
    if stage == Evaluation.stage:
        _write_evaluation(Evaluation.model_validate(artifact), folder, workspace)


def _write_history(trained: TrainedModel, folder: Path, workspace: Workspace) -> None:
    history = json.loads((workspace.path(trained.model).parent / HISTORY).read_text())
    names = sorted({name for figures in history for name in figures} - {"epoch"})
    text = io.StringIO()
    rows = csv.DictWriter(text, ["epoch", *(_column(name) for name in names)], lineterminator="\n")
    rows.writeheader()
    rows.writerows({_column(name): value for name, value in figures.items()} for figures in history)
    write_atomically(folder / "history.csv", text.getvalue())


def _column(name: str) -> str:
    """DVC takes dots and slashes of a column for a path."""
    return name.replace("/", "_").replace(".", "_")


def _write_evaluation(evaluation: Evaluation, folder: Path, workspace: Workspace) -> None:
    import pandas as pd

    nested: dict[str, dict[str, float]] = {}
    for name, value in sorted(evaluation.metrics.items()):
        output, _, metric = name.partition(".")
        nested.setdefault(output, {})[metric] = value
    write_atomically(folder / "metrics.json", json.dumps(nested, indent=2) + "\n")
    predictions = pd.read_parquet(workspace.path(evaluation.predictions))
    tables = [
        pd.DataFrame(_pairs(predictions, output))
        for output in nested
        if f"{output}.truth" in predictions
    ]
    write_atomically(folder / "predictions.csv", pd.concat(tables).to_csv(index=False))


def _pairs(predictions: DataFrame, output: str) -> dict[str, object]:
    return {
        "output": output,
        "actual": predictions[f"{output}.truth"],
        "predicted": predictions[f"{output}.prediction"],
    }
