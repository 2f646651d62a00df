"""A trained model's predictions and metrics on rows that it has not learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import TrainingError
from modelyard.features import ModelFeature, ModelSignature
from modelyard.spec.models import Spec
from modelyard.training.engine import engine
from modelyard.training.masks import Example, measure_masks
from modelyard.training.metrics import categories, flatten, of_labels, of_numbers
from modelyard.training.rows import SPLIT, TEST, TRAIN
from modelyard.training.signature import describe

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LABELS = frozenset({"category", "binary"})
TRUE_WORDS = frozenset({"true", "t", "yes", "y", "1", "1.0"})


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics as OUTPUT.METRIC, a row of truths and predictions for each row, and examples of masks."""

    metrics: dict[str, float]
    predictions: DataFrame
    examples: dict[str, tuple[Example, ...]] = field(default_factory=dict)


def measure(
    spec: Spec,
    model: Path,
    rows: DataFrame,
    also: Callable[[Any, DataFrame, DataFrame], object] | None = None,
) -> Measured:
    """Predict the test rows of a table and compare with the truth.

    Args:
        spec: Names the features and the resources.
        model: The folder of the Ludwig model.
        rows: All rows with their split.
        also: What else is done with the loaded model, the test rows and Ludwig's predictions.

    Raises:
        TrainingError: there are no test rows, or Ludwig cannot predict them.
    """
    test = rows[rows[SPLIT] == TEST]
    if test.empty:
        message = f"{spec.name}: there are no test rows to evaluate on"
        raise TrainingError(message, hint="give data.split.fractions a third share above 0")
    signature = describe(model)
    with engine(spec.resources, f"evaluate {spec.name}") as ludwig:
        loaded, numbered = ludwig.load(model), test.reset_index(drop=True)
        statistics, predicted, _ = loaded.evaluate(dataset=numbered, collect_predictions=True)
        if also is not None:
            also(loaded, numbered, predicted)
    metrics = flatten(statistics, categories(spec))
    table = compare(signature, test, predicted)
    for output in signature.outputs:
        for name, value in _beyond_ludwig(output, table).items():
            metrics[f"{output.name}.{name}"] = value
    examples = {}
    for output in signature.outputs:
        if output.type == "image":
            found = measure_masks(output, signature, test, predicted, rows[rows[SPLIT] == TRAIN])
            metrics |= {f"{output.name}.{name}": value for name, value in found.metrics.items()}
            table = table.assign(
                **{f"{output.name}.{name}": value for name, value in found.columns.items()}
            )
            examples[output.name] = found.examples
    return Measured(metrics, table, examples)


def compare(signature: ModelSignature, test: DataFrame, predicted: DataFrame) -> DataFrame:
    """Put truths, predictions and probabilities side by side; `row` is the table's row, from 0."""
    import pandas as pd

    columns: dict[str, Any] = {"row": test.index.to_numpy()}
    for output in signature.outputs:
        truth, name = test[output.column], output.name
        values = predicted[f"{name}_predictions"]
        if output.type in LABELS:
            columns[f"{name}.truth"] = labels(truth, output).to_numpy()
            columns[f"{name}.prediction"] = labels(values, output).to_numpy()
            columns |= _probabilities(output, predicted)
        elif output.type == "number":
            columns[f"{name}.truth"] = truth.astype(float).to_numpy()
            columns[f"{name}.prediction"] = values.astype(float).to_numpy()
    return pd.DataFrame(columns)


def labels(values: Series[Any], output: ModelFeature) -> Series[str]:
    """Spell labels as the model's vocabulary does, whatever the table's type."""
    text = values.map(str)
    known = output.categories or ()
    if output.type != "binary" or set(text) <= set(known):
        return text
    return text.map(lambda word: known[int(word.lower() in TRUE_WORDS)])


def _probabilities(output: ModelFeature, predicted: DataFrame) -> Mapping[str, Any]:
    columns = {f"{output.name}.probability": predicted[f"{output.name}_probability"].to_numpy()}
    for label in output.categories or ():
        column = f"{output.name}_probabilities_{label}"
        if column in predicted:
            columns[f"{output.name}.probability.{label}"] = predicted[column].to_numpy()
    return columns


def _beyond_ludwig(output: ModelFeature, table: DataFrame) -> dict[str, float]:
    if output.type not in LABELS | {"number"}:
        return {}
    truth, predicted = table[f"{output.name}.truth"], table[f"{output.name}.prediction"]
    if output.type in LABELS:
        return of_labels(truth.tolist(), predicted.tolist())
    return of_numbers(truth.tolist(), predicted.tolist())
