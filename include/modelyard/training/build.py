"""The stage `build`: the full Ludwig configuration as JSON, before anything is trained."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from modelyard.artifacts import BuiltModel, SplitData
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec, content_hash
from modelyard.spec.reference import reusable
from modelyard.training.config import resolve
from modelyard.training.downloads import refuse_downloads
from modelyard.training.engine import engine
from modelyard.training.mask_checks import refuse_masks
from modelyard.training.pretrained import config_hash, sources
from modelyard.training.rows import SPLIT, read_rows
from modelyard.training.sizes import refuse_sizes
from modelyard.workspace import Workspace, write_atomically

CONFIG = "model.json"
ASKED = "asked.json"


def build(spec: Spec, split: SplitData, workspace: Workspace) -> BuiltModel:
    """Write the full configuration of the spec's model.

    What would fail in mid-training for want of a column, of weights or of pixels fails here.

    Raises:
        TrainingError: Ludwig refuses it, or it cannot be trained on these data or this machine.
    """

    def make(folder: Path, key: str) -> BuiltModel:
        _refuse_missing_columns(spec, workspace.path(split.table))
        with engine(spec.resources, f"build the model of {spec.name}"):
            config = resolve(spec, workspace=workspace)
            refuse_downloads(config)
            if any(feature.type == "image" for feature in spec.inputs):
                refuse_sizes(spec, config, read_rows(spec, split, workspace))
            if any(feature.type == "image" for feature in spec.outputs):
                refuse_masks(spec, config, read_rows(spec, split, workspace))
        file = folder / CONFIG
        write_atomically(file, json.dumps(config, indent=2, sort_keys=True) + "\n")
        write_atomically(folder / ASKED, json.dumps(_asked(spec)))
        return BuiltModel(key=key, config=workspace.relative(file), config_hash=config_hash(config))

    depends_on: JsonValue = {
        "model": spec.model,
        "weights": sources(spec, workspace),
        "data": split.content_hash,
        "ludwig": version("ludwig"),
    }
    return workspace.once(BuiltModel, depends_on, make)


def architecture(spec: Spec, workspace: Workspace) -> dict[str, JsonValue]:
    """The model with every default written out, without what holds for one machine or data set.

    It is taken from an earlier `build` of the same model; else Ludwig is asked.

    Raises:
        TrainingError: Ludwig refuses the model.
    """
    asked = _asked(spec)
    for file in (workspace.home / "stages" / BuiltModel.stage).glob(f"*/{ASKED}"):
        made = file.with_name(CONFIG)
        if made.is_file() and json.loads(file.read_bytes()) == asked:
            return reusable(json.loads(made.read_bytes()))
    with engine(spec.resources, f"resolve the model of {spec.name}"):
        config = resolve(spec)
    sorted_keys: dict[str, JsonValue] = json.loads(json.dumps(config, sort_keys=True))
    return reusable(sorted_keys)


def _asked(spec: Spec) -> dict[str, JsonValue]:
    return {"model": content_hash(spec.model), "ludwig": version("ludwig")}


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
