"""A version's files: a loadable MLflow model, with the spec, the signature and the drift reference."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

from modelyard import __version__
from modelyard.artifacts import SplitData, TrainedModel
from modelyard.spec.models import Spec
from modelyard.tracking.client import quiet
from modelyard.workspace import Workspace

LOADER = "modelyard.training.predictor"
REQUIREMENTS = ("ludwig", "torch", "pandas", "mlflow")


def write_package(
    spec: Spec, workspace: Workspace, split: SplitData, trained: TrainedModel, destination: Path
) -> Path:
    """Write what `mlflow.pyfunc.load_model` loads; the weights stay Ludwig's safetensors."""
    with quiet():
        from mlflow.pyfunc import save_model

        save_model(
            path=str(destination),
            loader_module=LOADER,
            data_path=str(workspace.path(trained.model)),
            pip_requirements=[  # said here, or MLflow loads the model elsewhere to find out
                f"modelyard=={__version__}",
                *(f"{name}=={version(name)}" for name in REQUIREMENTS),
            ],
            metadata={"spec": spec.name, "weights": trained.weights_hash},
        )
    text = spec.model_dump_json(indent=2) + "\n"
    (destination / "spec.json").write_text(text, encoding="utf-8")
    shutil.copy(workspace.path(trained.model).parent / "signature.json", destination)
    shutil.copytree(workspace.path(split.reference), destination / "reference")
    return destination
