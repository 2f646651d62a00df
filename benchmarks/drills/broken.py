"""A version that loads and then raises on every request: a copy whose graph is another one."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelyard.settings import Settings
from modelyard.tracking import registry
from modelyard.tracking.client import connect
from modelyard.training.compiled.loading import digest
from modelyard.training.compiled.plan import FILE, GRAPH

FOLDER = "model-broken"


class Broken(nn.Module):
    """Takes what the model takes, and fails."""

    def forward(self, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fail; the condition keeps TorchScript from leaving the rest out."""
        if numbers.numel() >= 0:
            message = "this version is broken on purpose"
            raise RuntimeError(message)
        return numbers, numbers


def register_broken(settings: Settings, model: str, version: int) -> int:
    """Register a copy of a version that raises on every request; return its number."""
    made = registry.version(settings, model, version)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / FOLDER
        shutil.copytree(registry.download(settings, model, version), folder)
        (graph,) = folder.rglob(GRAPH)
        torch.jit.save(torch.jit.script(Broken()), str(graph))
        record: dict[str, Any] = json.loads((graph.parent / FILE).read_text())
        record["graph"] = digest(graph)
        (graph.parent / FILE).write_text(json.dumps(record))
        client = connect(settings)
        client.log_artifacts(made.mlflow_run, str(folder), FOLDER)
        source = f"{client.get_run(made.mlflow_run).info.artifact_uri}/{FOLDER}"
        stored = client.create_model_version(
            model, source, made.mlflow_run, description="Raises on every request: a drill."
        )
    return int(stored.version)
