"""The models that are served: trained once by Modelyard, and kept in the cache."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from PIL import Image

from modelyard.settings import Settings
from modelyard.tracking import registry
from modelyard.training import compiled
from modelyard.training.compiled import CompiledModel

SPECS = ("breast-cancer-mlp", "fashion-cnn")
# How good it becomes does not matter here: its speed is the same after one epoch.
SETS = ("--set", "gate=[]", "--set", "model.trainer.epochs=1", "--no-deploy")
RAW_ROWS = 64
WARM = (1, 1, 1, 2, 3, 8, 64, 64)
RAW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """A model version on disk, and a row to ask of it."""

    name: str
    version: int
    folder: Path
    """As MLflow keeps it."""
    row: dict[str, object]

    @property
    def ludwig(self) -> Path:
        """Ludwig's own model folder."""
        return next(self.folder.glob("data/*/model_hyperparameters.json")).parent

    @property
    def compiled(self) -> Path:
        """The compiled predictor's folder."""
        return next(self.folder.rglob("compiled"))

    @property
    def json_row(self) -> dict[str, object]:
        """The row as JSON carries it: an image in base64."""
        return {
            name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in self.row.items()
        }

    def body(self) -> bytes:
        """A request of one row, as Modelyard and the plain servers take it."""
        return orjson.dumps({"rows": [self.json_row]})


def make(settings: Settings, names: Sequence[str], say: Callable[[str], None]) -> list[Made]:
    """Train what is not there yet, and find its files."""
    return [_made(settings, name) or _trained(settings, name, say) for name in names]


def _trained(settings: Settings, name: str, say: Callable[[str], None]) -> Made:
    say(f"training {name}")
    program = str(Path(sys.executable).with_name("modelyard"))
    subprocess.run(
        [program, "run", name, "--json", *SETS],
        env={**os.environ, "MODELYARD_HOME": str(settings.home), "CUDA_VISIBLE_DEVICES": ""},
        cwd=settings.project,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    made = _made(settings, name)
    if made is None:
        message = f"{name} was not registered"
        raise RuntimeError(message)
    return made


def _made(settings: Settings, name: str) -> Made | None:
    versions = registry.versions(settings, name)
    if not versions:
        return None
    version = max(found.version for found in versions)
    folder = registry.download(settings, name, version)
    if not [*folder.rglob("compiled")]:
        return None
    signature = json.loads((folder / "signature.json").read_text())
    columns = [feature["column"] for feature in signature["inputs"]]
    row: dict[str, object] = {}
    for feature in signature["inputs"]:
        if feature["type"] == "image":
            row[feature["column"]] = _picture(feature["height"], feature["width"])
    if not row:
        row = _first_row(settings, columns)
    return Made(name, version, folder, row)


def _picture(height: int, width: int) -> bytes:
    """Draw a grey picture that is neither flat nor noise, as PNG."""
    across = np.linspace(0, 200, width)[None] + np.linspace(0, 55, height)[:, None]
    stream = io.BytesIO()
    Image.fromarray(across.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _first_row(settings: Settings, columns: Sequence[str]) -> dict[str, object]:
    """Find a table that the model may have learned from, and its first row."""
    for table in sorted(settings.home.glob("stages/split/*/table.parquet")):
        frame = pd.read_parquet(table)
        if set(columns) <= set(frame.columns):
            return {str(key): value for key, value in frame[columns].iloc[0].to_dict().items()}
    message = f"there is no table with the columns {', '.join(columns)}"
    raise RuntimeError(message)


@dataclass(frozen=True, slots=True)
class RawRates:
    """Rows a second of one core with no server around: 64 rows a batch."""

    forward: float
    """The network alone, on tensors that are ready."""
    whole: float
    """With reading the rows and writing the answers."""
    single: float
    """The same, one row at a time."""


def raw_rates(made: Made) -> RawRates:
    """Measure what one core can do at most."""
    model = compiled.load(made.compiled, threads=1)
    assert model is not None, f"{made.name} has no compiled predictor"
    # Torch optimises a graph on its first calls, and again for other sizes of batches.
    for count in WARM:
        model.answer([made.row] * count)
    rows = [made.row] * RAW_ROWS
    tensors = model.prepare(rows)
    return RawRates(
        forward=RAW_ROWS * _rate(lambda: model.compute(tensors)),
        whole=RAW_ROWS * _rate(lambda: model.answer(rows)),
        single=_rate(lambda: _one(model, made)),
    )


def _one(model: CompiledModel, made: Made) -> object:
    return model.answer([made.row])


def _rate(work: Callable[[], object]) -> float:
    """Calls a second, the median of five stretches."""
    rates = []
    for _ in range(5):
        begun, calls = time.perf_counter(), 0
        while (spent := time.perf_counter() - begun) < RAW_SECONDS / 5:
            work()
            calls += 1
        rates.append(calls / spent)
    return sorted(rates)[2]
