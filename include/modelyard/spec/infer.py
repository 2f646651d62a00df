"""Infer a first spec from a table: something to train at once, and to improve by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from modelyard.errors import SpecError, UsageError
from modelyard.spec import yaml_text
from modelyard.spec.columns import Column, inspect
from modelyard.spec.lines import Finding, problems
from modelyard.spec.load import build

type Mapping = dict[str, JsonValue]

# Modelyard's own: it ends where the text or series does.
_LSTM: Final[Mapping] = {"type": "packed_rnn", "cell_type": "lstm", "bidirectional": True}
_WORDS: Final[Mapping] = {
    "tokenizer": "space_punct",
    "lowercase": True,
    "max_sequence_length": 128,
    "most_common": 10_000,
}

_HEADER: Final = "# yaml-language-server: $schema=schema.json\n"
_SPLIT: Final = "split"
_LARGEST_SIDE: Final = 128
_SMALLEST_SIDE: Final = 4
_CHANNELS: Final = (32, 64, 128, 128)
_ROWS_TO_STRATIFY: Final = 10


def infer_spec(name: str, table: Path, target: str, project: Path | None = None) -> str:
    """Return the YAML text of a spec that passes `spec check`.

    Paths in it are relative to `project`, or to the current folder.

    Raises:
        UsageError: the table has no such column, or one that cannot be learned.
        SpecError: the name is none for a spec.
    """
    columns, wanted, rows = inspect(table, target)
    inputs = [column for column in columns if column.kind != "skip" and column.name != _SPLIT]
    if not inputs:
        message = f"{table} has no column to learn `{target}` from"
        raise UsageError(message)
    spec: Mapping = {
        "version": 1,
        "name": name,
        "description": f"Predicts {target} from {_said(inputs)}.",
        "data": {
            **_place(table, project or Path.cwd(), any(_is_a_file(c) for c in inputs)),
            "checks": _checks(inputs, wanted, rows),
            **_changes(inputs, wanted),
            "split": _split(wanted, rows, any(column.name == _SPLIT for column in columns)),
        },
        "model": _model(table, inputs, wanted),
        "gate": _gate(wanted),
    }
    findings: list[Finding] = []
    if build(spec, findings) is None:
        raise SpecError(name, problems(findings, {}, name))
    return _HEADER + _left_out(columns) + yaml_text.write(spec)


def _is_a_file(column: Column) -> bool:
    return column.kind == "image" and not column.packed


def _said(inputs: list[Column]) -> str:
    return inputs[0].name if len(inputs) == 1 else f"{len(inputs)} columns"


def _left_out(columns: list[Column]) -> str:
    lines = [
        f"# The column {column.name!r} is left out: {column.reason}.\n"
        for column in columns
        if column.kind == "skip"
    ]
    return "".join(lines)


def _place(table: Path, project: Path, with_files: bool) -> Mapping:
    """Say what data.path and data.table are: what DVC tracks, or else what the model needs."""
    table = table.absolute()
    folder = table.parent
    tracked = folder.with_name(f"{folder.name}.dvc").is_file()
    if (with_files or tracked) and not table.with_name(f"{table.name}.dvc").is_file():
        return {"path": _relative(folder, project), "table": table.name}
    return {"path": _relative(table, project)}


def _relative(path: Path, project: Path) -> str:
    project = project.absolute()
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


def _split(target: Column, rows: int, has_split: bool) -> Mapping:
    if has_split:
        return {"column": _SPLIT}
    split: Mapping = {"fractions": [0.7, 0.1, 0.2]}
    if target.kind == "category" and target.rarest * rows >= _ROWS_TO_STRATIFY:
        split["stratify"] = _feature_name(target)
    return split


def _checks(inputs: list[Column], target: Column, rows: int) -> list[JsonValue]:
    checks: list[JsonValue] = [{"min_rows": max(1, rows // 2)}]
    rule: Mapping = {"column": target.name}
    if not target.missing:
        rule["not_null"] = True
    if target.kind == "number":
        rule["type"] = "number"
    else:
        rule |= {"one_of": list(target.values)} if target.values else {}
        rule["min_class_share"] = float(f"{target.rarest / 2:.1g}")
    checks.append(rule)
    for column in inputs:
        rule = {"column": column.name}
        if column.kind in ("number", "image"):
            rule["type"] = column.kind
        if not column.missing:
            rule["not_null"] = True
        if len(rule) > 1:
            checks.append(rule)
    return checks


def _changes(inputs: list[Column], target: Column) -> Mapping:
    changes: list[JsonValue] = []
    if target.missing:
        changes.append({"kind": "drop_missing", "columns": [target.name]})
    dotted: Mapping = {
        column.name: _feature_name(column) for column in [*inputs, target] if "." in column.name
    }
    if dotted:
        changes.append({"kind": "rename", "columns": dotted})
    return {"transform": changes} if changes else {}


def _feature_name(column: Column) -> str:
    return column.name.replace(".", "_")


def _model(table: Path, inputs: list[Column], target: Column) -> Mapping:
    model: Mapping = {
        "input_features": [_feature(column, table) for column in inputs],
        "output_features": [{"name": _feature_name(target), "type": target.kind}],
    }
    if any(column.kind == "number" for column in inputs):
        model["defaults"] = {"number": {"preprocessing": {"normalization": "zscore"}}}
    hidden: list[JsonValue] = [{"output_size": 64, "dropout": 0.1}, {"output_size": 32}]
    # Ludwig's default for numbers alone is attention, which is slow and no plain MLP.
    model["combiner"] = {"type": "concat", "fc_layers": hidden}
    model["trainer"] = {"epochs": 30, "batch_size": 64, "learning_rate": 0.001, "early_stop": 6}
    return model


def _feature(column: Column, table: Path) -> Mapping:
    feature: Mapping = {"name": _feature_name(column), "type": column.kind}
    if column.kind == "image":
        feature |= _image(column, table)
    elif column.kind == "timeseries":
        feature["encoder"] = {**_LSTM, "state_size": 64}
    elif column.kind == "text":
        feature["preprocessing"] = dict(_WORDS)
        feature["encoder"] = {**_LSTM, "embedding_size": 64, "state_size": 64, "dropout": 0.3}
    return feature


def _image(column: Column, table: Path) -> Mapping:
    """Build convolutions that fit the images' size; Ludwig's defaults fail on small ones."""
    width, height, channels = _looked_at(table, column.name)
    width, height = min(width, _LARGEST_SIDE), min(height, _LARGEST_SIDE)
    halvings = max(1, min(len(_CHANNELS), int(math.log2(min(width, height) / _SMALLEST_SIDE) + 1)))
    layers: list[JsonValue] = [
        {"out_channels": size, "kernel_size": 3, "padding": "same", "pool_kernel_size": 2}
        for size in _CHANNELS[:halvings]
    ]
    return {
        "preprocessing": {"num_channels": channels, "height": height, "width": width},
        "encoder": {
            "type": "stacked_cnn",
            "conv_layers": layers,
            "fc_layers": [{"output_size": 64, "dropout": 0.2}],
        },
    }


def _looked_at(table: Path, column: str) -> tuple[int, int, int]:
    """Width, height and channels of the first image, a file or packed in the table."""
    import io

    from PIL import Image, UnidentifiedImageError

    from modelyard.spec.columns import read_table

    first = read_table(table)[column].dropna().iloc[0]
    packed = isinstance(first, bytes)
    file = table.parent / ("" if packed else str(first))
    try:
        with Image.open(io.BytesIO(first) if packed else file) as image:
            channels = 1 if image.mode in ("1", "L", "I", "I;16", "F") else 3
            return (*image.size, channels)
    except (OSError, UnidentifiedImageError) as error:
        message = f"{file} is not an image that can be read"
        raise UsageError(message) from error


def _gate(target: Column) -> list[JsonValue]:
    """Ask for more than guessing, and for no step back."""
    name = _feature_name(target)
    if target.kind == "number":
        return [
            {"metric": f"{name}.r2", "at_least": 0.0},
            {"metric": f"{name}.r2", "within": 0.02, "of": "champion"},
        ]
    guessing = min(0.99, math.ceil(target.commonest * 100) / 100)
    return [
        {"metric": f"{name}.accuracy", "at_least": guessing},
        {"metric": f"{name}.accuracy", "within": 0.02, "of": "champion"},
    ]
