"""A version's model card: what it is for, what it was made of, how good it is, and where that ends."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelyard.artifacts import Evaluation, SplitData, TrainedModel
from modelyard.spec.models import Spec
from modelyard.tracking.paired import mean_interval, wilson
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

WEAKEST = 3
TEST = 2
FEW_ROWS = 1000
LONGEST_VALUE = 60
LONGEST_DESCRIPTION = 4900  # MLflow's column takes 5,000
SHORTENED = "\n\nThe rest is in the version's model_card.md."


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a card tells of."""

    spec: Spec
    workspace: Workspace
    split: SplitData
    trained: TrainedModel
    evaluation: Evaluation
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def model_card(subject: Subject) -> str:
    """Write the card as Markdown."""
    sections = {
        "Data": _data(subject),
        "Model": _model(subject),
        "Training": _training(subject),
        "Measured on the test rows": _measured(subject),
        "Weakest classes": _weakest(subject),
        "Limits": _limits(subject),
        "How to call it": _call(subject),
    }
    spec = subject.spec
    lines = [f"# {spec.name}", "", spec.description or "The spec gives no description."]
    for title, body in sections.items():
        if body:
            lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def as_description(card: str) -> str:
    """Cut a card at a line so that MLflow takes it as a version's description."""
    if len(card) <= LONGEST_DESCRIPTION:
        return card
    kept = card[: LONGEST_DESCRIPTION - len(SHORTENED)]
    return kept[: kept.rfind("\n")] + SHORTENED


def _data(subject: Subject) -> list[str]:
    spec, tags = subject.spec, subject.tags
    train, validation, test = subject.split.rows
    split = spec.data.split.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return [
        (
            f"- `{spec.data.path}` at {tags.get('modelyard.data_revision', 'an unknown revision')}, "
            f"DVC hash `{tags.get('modelyard.dvc_hash', 'unknown')}`"
        ),
        f"- rows: {train} for training, {validation} for validation, {test} for test",
        f"- split: {json.dumps(split)}; hash of rows and split `{subject.split.content_hash[:16]}`",
    ]


def _model(subject: Subject) -> list[str]:
    spec = subject.spec
    inputs = ", ".join(f"{one.name} ({_kind(spec, one.name) or one.type})" for one in spec.inputs)
    outputs = ", ".join(f"{one.name} ({one.type})" for one in spec.outputs)
    parts = len(spec.inputs)
    shown = inputs if len(inputs) < 4 * LONGEST_VALUE else f"{parts} columns"
    return [
        f"- inputs: {shown}",
        f"- outputs: {outputs}",
        (
            f"- {subject.trained.parameters:,} learned parameters, "
            f"weights `{subject.trained.weights_hash[:16]}`"
        ),
    ]


def _kind(spec: Spec, name: str) -> str:
    """The encoder's type, where the spec says one."""
    features = spec.model.get("input_features")
    for feature in features if isinstance(features, list) else []:
        if isinstance(feature, dict) and feature.get("name") == name:
            encoder = feature.get("encoder")
            kind = encoder.get("type") if isinstance(encoder, dict) else encoder
            return f"{feature.get('type')}, {kind}" if kind else ""
    return ""


def _training(subject: Subject) -> list[str]:
    trained, tags, measured = subject.trained, subject.tags, subject.metrics
    lines = [
        (
            f"- {trained.epochs} epochs, the weights of epoch {trained.best_epoch} were kept; "
            f"{trained.seconds:.0f} s; seed {subject.spec.seed}"
        ),
        f"- commit `{tags.get('mlflow.source.git.commit', '')[:12] or 'none'}`"
        + (" with uncommitted changes" if tags.get("modelyard.git_dirty") == "true" else ""),
    ]
    if "energy_kwh" in measured:
        co2 = f", {1000 * measured['co2_kg']:.3g} g CO2 equivalents" if "co2_kg" in measured else ""
        energy = 1000 * measured["energy_kwh"]
        lines.append(f"- energy: about {energy:.3g} Wh{co2} (estimate, of the whole machine)")
    return lines


def _measured(subject: Subject) -> list[str]:
    lines = ["| metric | value |", "|---|---|"]
    lines += [
        f"| {name} | {value:.4g} |" for name, value in sorted(subject.evaluation.metrics.items())
    ]
    rules = subject.evaluation.gate
    lines += ["", "Gate:", ""] if rules else ["", "Gate: no rules."]
    for rule in rules:
        value = "-" if rule.value is None else f"{rule.value:.4g}"
        lines.append(f"- {rule.rule}: {value}, {'passed' if rule.passed else 'refused'}")
    tags = subject.tags
    if "modelyard.compared_with" in tags:
        verdict = tags.get("modelyard.comparison", "")
        lines += ["", f"Against {tags['modelyard.compared_with']}, then champion: {verdict}."]
    return lines


def _weakest(subject: Subject) -> list[str]:
    """Each output's classes with the lowest F1."""
    import pandas as pd

    folder = subject.workspace.path(subject.evaluation.predictions).parent / "report"
    lines = []
    for file in sorted(folder.glob("*_classes.csv")):
        output = file.name.removesuffix("_classes.csv")
        weakest = pd.read_csv(file, dtype={"class": str}).head(WEAKEST)
        lines += [_class_line(output, row) for row in weakest.to_dict("records")]
    return lines


def _class_line(output: str, row: Mapping[Hashable, Any]) -> str:
    figures = ", ".join(f"{name} {row[name]:.3g}" for name in ("f1", "precision", "recall"))
    return f"- {output} {row['class']}: {figures} on {row['rows']} rows"


def _limits(subject: Subject) -> list[str]:
    rows = subject.split.rows[TEST]
    lines = [f"- {line}" for line in _intervals(subject)]
    if rows < FEW_ROWS:
        lines.append(f"- {rows} test rows are few: smaller differences than these say nothing")
    how = subject.spec.data.split
    if how.column is None and how.blocks_of is None and how.group is None:
        lines.append(
            "- the test rows were drawn from the same table as the training rows: other sources, times and devices were not tested"
        )
    lines.append(
        "- not tested: inputs unlike the training data, attacks, and fairness between groups"
    )
    return lines


def _intervals(subject: Subject) -> list[str]:
    """The 95 % interval of each output's main metric."""
    import pandas as pd

    file = subject.workspace.path(subject.evaluation.predictions)
    if not file.exists():
        return []
    table = pd.read_parquet(file)
    return [line for output in subject.spec.outputs if (line := _interval(output.name, table))]


def _interval(output: str, table: DataFrame) -> str:
    truth, guess, dice = (f"{output}.{kind}" for kind in ("truth", "prediction", "dice"))
    if dice in table:
        low, high = mean_interval(table[dice].tolist())
        return f"{output}: the mean Dice of all such data is {low:.4g} to {high:.4g} (95 %)"
    if not {truth, guess} <= {*table}:
        return ""
    if table[truth].dtype.kind == "f":
        low, high = mean_interval((table[guess] - table[truth]).abs().tolist())
        return (
            f"{output}: the mean absolute error on all such data is {low:.4g} to {high:.4g} (95 %)"
        )
    low, high = wilson(int((table[guess] == table[truth]).sum()), len(table))
    return f"{output}: the accuracy on all such data is {low:.2%} to {high:.2%} (95 %, Wilson)"


def _call(subject: Subject) -> list[str]:
    spec = subject.spec
    url = f"{subject.workspace.settings.endpoint}/models/{spec.name}/predict"
    files = [one.column for one in spec.inputs if one.type in {"image", "audio"}]
    if files:
        parts = " ".join(f"-F {column}=@{column}.png" for column in files)
        return ["```", f"curl {parts} {url}", "```"]
    row = _example(subject)
    body = json.dumps({"rows": [row]}, default=str).replace("'", "'\\''")
    return ["```", f"curl {url} -H 'Content-Type: application/json' -d '{body}'", "```"]


def _example(subject: Subject) -> dict[str, JsonValue]:
    """The first test row, or names only where the table is gone."""
    import pandas as pd

    columns = list(dict.fromkeys(one.column for one in subject.spec.inputs))
    file: Path = subject.workspace.path(subject.split.table)
    try:
        table = pd.read_parquet(file, columns=[*columns, "split"])
    except (OSError, ValueError):
        return dict.fromkeys(columns, "...")
    test = table[table["split"] == TEST][columns].head(1)
    row: dict[str, JsonValue] = next(iter(json.loads(test.to_json(orient="records"))), {})
    return row
