"""The stage `evaluate`: the test split's metrics, predictions and plots, and the gate's answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import Evaluation, SplitData, TrainedModel
from modelyard.features import ModelSignature
from modelyard.spec.models import Spec
from modelyard.training import outputs
from modelyard.training.compiled.making import compile_model
from modelyard.training.compiled.plan import FORMAT
from modelyard.training.gate import decide
from modelyard.training.masks import draw_examples
from modelyard.training.measure import Measured, measure
from modelyard.training.plots import draw
from modelyard.training.report import class_table, metrics_of, per_class, with_labels
from modelyard.training.rows import SPLIT, TRAIN, read_rows
from modelyard.training.signature import describe
from modelyard.training.train import HISTORY
from modelyard.workspace import Workspace, write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

METRICS = "metrics.json"
PREDICTIONS = "predictions.parquet"
PER_CLASS = "per_class.json"
PLOTS = "plots"
REPORT = "report"
COMPILED = "compiled"
OUTPUTS = "outputs.parquet"


def evaluate(
    spec: Spec,
    split: SplitData,
    trained: TrainedModel,
    workspace: Workspace,
    champion: Mapping[str, float] | None,
) -> Evaluation:
    """Measure the model on the test split and hold it against the gate.

    Beside the predictions come `metrics.json`, `per_class.json`, `plots/`, `report/` and
    `compiled/`, with a predictor that needs no Ludwig or the reason why there is none, and
    `outputs.parquet`, what live answers are compared with.

    Raises:
        TrainingError: there are no test rows, or Ludwig cannot predict them.
    """

    def make(folder: Path, key: str) -> Evaluation:
        model = workspace.path(trained.model)
        rows = read_rows(spec, split, workspace)

        def also(loaded: object, test: DataFrame, predicted: DataFrame) -> None:
            training = rows[rows[SPLIT] == TRAIN]
            made = compile_model(model, loaded, test, predicted, folder / COMPILED, training)
            by = spec.monitor.segment_by
            answers = outputs.lay_out(describe(model), test, predicted, made.places, by)
            outputs.write(answers, folder / OUTPUTS)

        measured = _with_report(measure(spec, model, rows, also), model)
        history = json.loads((model.parent / HISTORY).read_bytes())
        _write(measured, folder)
        _write_classes(describe(model), measured.predictions, folder)
        draw(describe(model), history, measured.predictions, folder / PLOTS, trained.best_epoch)
        draw_examples(measured.examples, folder / PLOTS)
        gate = decide(spec.gate, measured.metrics, champion)
        return Evaluation(
            key=key,
            metrics=measured.metrics,
            predictions=workspace.relative(folder / PREDICTIONS),
            passed=all(result.passed for result in gate),
            gate=gate,
            compiled=workspace.relative(folder / COMPILED),
            outputs=workspace.relative(folder / OUTPUTS),
        )

    return workspace.once(Evaluation, _depends_on(spec, split, trained, champion), make)


def _depends_on(
    spec: Spec,
    split: SplitData,
    trained: TrainedModel,
    champion: Mapping[str, float] | None,
) -> JsonValue:
    compares = any(rule.of for rule in spec.gate)
    return {
        "trained": [trained.key, trained.weights_hash],
        "split": [split.key, split.content_hash],
        "compiled": FORMAT,
        **({"segment_by": spec.monitor.segment_by} if spec.monitor.segment_by else {}),
        "gate": [rule.model_dump(mode="json") for rule in spec.gate],
        "champion": dict(champion) if compares and champion is not None else None,
    }


def _write(measured: Measured, folder: Path) -> None:
    measured.predictions.to_parquet(folder / PREDICTIONS, index=False)
    text = json.dumps(measured.metrics, indent=2, sort_keys=True)
    write_atomically(folder / METRICS, text + "\n")


def _with_report(measured: Measured, model: Path) -> Measured:
    """Add what the probabilities say, so that a gate may ask for it."""
    more = metrics_of(describe(model), measured.predictions)
    return replace(measured, metrics=measured.metrics | more)


def _write_classes(signature: ModelSignature, predictions: DataFrame, folder: Path) -> None:
    """Write a table of each output's classes, and their figures."""
    figures: dict[str, float] = {}
    for output in with_labels(signature):
        table = class_table(output, predictions)
        (folder / REPORT).mkdir(exist_ok=True)
        table.to_csv(folder / REPORT / f"{output.name}_classes.csv", index=False)
        figures |= per_class(output, table)
    write_atomically(folder / PER_CLASS, json.dumps(figures, indent=2) + "\n")
