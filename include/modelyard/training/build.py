"""The stage `build`: the full Ludwig configuration as JSON, before anything is trained."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from modelyard.artifacts import BuiltModel, SplitData
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec, content_hash
from modelyard.training.config import resolve
from modelyard.training.engine import engine
from modelyard.training.rows import SPLIT
from modelyard.workspace import Workspace, write_atomically

CONFIG = "model.json"


def build(spec: Spec, split: SplitData, workspace: Workspace) -> BuiltModel:
    """Write the full configuration of the spec's model.

    Raises:
        TrainingError: Ludwig refuses it, or the data lack a column.
    """

    def make(folder: Path, key: str) -> BuiltModel:
        _refuse_missing_columns(spec, workspace.path(split.table))
        with engine(spec.resources, f"build the model of {spec.name}"):
            config = resolve(spec)
        file = folder / CONFIG
        write_atomically(file, json.dumps(config, indent=2, sort_keys=True) + "\n")
        return BuiltModel(
            key=key, config=workspace.relative(file), config_hash=content_hash(config)
        )

    return workspace.once(
        BuiltModel,
        {"model": spec.model, "data": split.content_hash, "ludwig": version("ludwig")},
        make,
    )


def _refuse_missing_columns(spec: Spec, table: Path) -> None:
    import pyarrow.parquet as pq

    known = set(pq.read_schema(table).names)
    for section, features in (("input_features", spec.inputs), ("output_features", spec.outputs)):
        for feature in features:
            if feature.column not in known:
                names = ", ".join(sorted(known - {SPLIT})[:20])
                message = (
                    f"model.{section}.{feature.name}: the data have no column {feature.column}"
                )
                raise TrainingError(message, hint=f"columns: {names}")
