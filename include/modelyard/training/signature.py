"""What a trained model takes and gives, from the files that Ludwig keeps with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import TrainingError
from modelyard.features import ModelFeature, ModelSignature
from modelyard.spec.models import Spec
from modelyard.workspace import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame, Series

CONFIG = "model_hyperparameters.json"
METADATA = "training_set_metadata.json"
DATA = "columns.json"
UNKNOWN = ("<UNK>", "<PAD>")
DROPS_ROWS = "drop_row"


def describe(model_folder: Path) -> ModelSignature:
    """Read a model's signature, without Ludwig.

    Raises:
        TrainingError: the folder holds no Ludwig model.
    """
    config, metadata = _read(model_folder / CONFIG), _read(model_folder / METADATA)
    seen = _read(model_folder / DATA) if (model_folder / DATA).exists() else {}
    return ModelSignature(
        inputs=tuple(_feature(f, metadata, seen) for f in config["input_features"]),
        outputs=tuple(_feature(f, metadata, seen) for f in config["output_features"]),
    )


def write_columns(spec: Spec, rows: DataFrame, model_folder: Path) -> None:
    """Keep what Ludwig's files do not say: the data's own column names, and which had gaps.

    Ludwig fills a missing number with 0 by default; a model that never saw a gap must not be
    asked with one. Of numbers it keeps the range, so that a form can say it and begin in its middle.
    """
    columns = {
        feature.name: {
            "column": feature.column,
            "required": not bool(rows[feature.column].isna().any()),
            **(_range(rows[feature.column]) if feature.type == "number" else {}),
        }
        for feature in (*spec.inputs, *spec.outputs)
    }
    write_atomically(model_folder / DATA, json.dumps(columns, indent=1, sort_keys=True) + "\n")


def _range(values: Series[Any]) -> dict[str, float]:
    """Least value, median and greatest, in six digits; nothing where a value is not finite."""
    import pandas as pd

    given = pd.to_numeric(values, errors="coerce").dropna()
    found = {"low": given.min(), "middle": given.median(), "high": given.max()}
    if not all(math.isfinite(value) for value in found.values()):
        return {}
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError) as error:
        message = f"{file.parent} holds no trained model: {file.name} is missing or broken"
        raise TrainingError(message) from error
    return content


def _feature(
    config: Mapping[str, Any], metadata: Mapping[str, Any], seen: Mapping[str, Mapping[str, Any]]
) -> ModelFeature:
    name, kind = config["name"], config["type"]
    known, in_data = metadata.get(name, {}), seen.get(name, {})
    return ModelFeature(
        name=name,
        column=in_data.get("column") or config.get("column") or name,
        type=kind,
        required=in_data.get("required", False) or _cannot_be_filled(config),
        categories=_categories(kind, known),
        steps=known.get("max_timeseries_length") or known.get("max_sequence_length"),
        **(_size(known) if kind == "image" else {}),
        **{key: in_data[key] for key in ("low", "middle", "high") if key in in_data},
    )


def _cannot_be_filled(config: Mapping[str, Any]) -> bool:
    """Say whether training dropped rows without the value, or filled them from their neighbours."""
    strategy = config.get("preprocessing", {}).get("missing_value_strategy", DROPS_ROWS)
    return config["type"] == "image" or strategy in {DROPS_ROWS, "bfill", "ffill"}


def _categories(kind: str, known: Mapping[str, Any]) -> tuple[str, ...] | None:
    if kind == "category":
        values = known.get("idx2str", ())
    elif kind == "binary":
        values = known.get("bool2str") or ("False", "True")
    elif kind == "image" and known.get("preprocessing", {}).get("channel_class_map"):
        # A mask: one grey value a class, as its only channel.
        values = [value[0] for value in known["preprocessing"]["channel_class_map"]]
    else:
        return None
    return tuple(str(value) for value in values if value not in UNKNOWN)


def _size(known: Mapping[str, Any]) -> dict[str, int]:
    seen = known.get("preprocessing", {})
    names = {"height": "height", "width": "width", "num_channels": "channels"}
    return {ours: int(seen[theirs]) for theirs, ours in names.items() if seen.get(theirs)}
