"""Files that MLflow keeps with a run, read back wherever its artifacts lie."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.tracking.client import call, connect, found, quiet

if TYPE_CHECKING:
    from mlflow.entities import Run

SPEC = "spec.json"
PREDICTIONS = "predictions/predictions.parquet"
CONFIG = "model_config"


def run_of(settings: Settings, run_id: str) -> Run:
    """Return a run; raise TrackingError if MLflow has lost it."""
    client = connect(settings)
    run = call("find the run", lambda: found(lambda: client.get_run(run_id)))
    if run is None:
        message = f"MLflow has no run {run_id}, which the training made"
        raise TrackingError(message, hint="train again: modelyard run SPEC --fresh")
    return run


@contextmanager
def kept(settings: Settings, run: Run, name: str) -> Iterator[Path | None]:
    """Give a local copy of a run's file or folder for the block; None if the run has none."""
    local = Path(run.info.artifact_uri.removeprefix("file://")) / name
    if local.exists():
        yield local
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        yield _download(settings, run, name, scratch)


def read_json(settings: Settings, run: Run, name: str) -> dict[str, JsonValue]:
    """Read a run's JSON file; empty if it has none."""
    with kept(settings, run, name) as file:
        if file is None:
            return {}
        content: dict[str, JsonValue] = json.loads(file.read_bytes())
        return content


def _download(settings: Settings, run: Run, name: str, scratch: str) -> Path | None:
    client, run_id = connect(settings), run.info.run_id
    parent = name.rpartition("/")[0]
    listed = call("list files", lambda: client.list_artifacts(run_id, parent or None))
    if name not in {entry.path for entry in listed}:
        return None
    with quiet():
        return Path(call(f"fetch {name}", lambda: client.download_artifacts(run_id, name, scratch)))
