"""A version's files: a loadable MLflow model, with the spec, the signature and the drift reference."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path

from modelyard import __version__
from modelyard.artifacts import Evaluation, SplitData, TrainedModel
from modelyard.features import ModelSignature
from modelyard.spec.models import Spec
from modelyard.tracking.client import quiet
from modelyard.workspace import Workspace

LOADER = "modelyard.training.predictor"
CARD = "model_card.md"
SIGNATURE = "signature.json"
COMPILED = "compiled"
REFERENCE = "reference"
OUTPUTS = "outputs.parquet"
REQUIREMENTS = ("ludwig", "torch", "pandas", "mlflow")


def write_package(  # noqa: PLR0913, PLR0917 - the artifacts that a version is made of
    spec: Spec,
    workspace: Workspace,
    split: SplitData,
    trained: TrainedModel,
    evaluation: Evaluation,
    card: str,
    destination: Path,
) -> Path:
    """Write what `mlflow.pyfunc.load_model` loads; the weights stay Ludwig's safetensors.

    Beside it lies `compiled/`, which the endpoint prefers.
    """
    described = workspace.path(trained.model).parent / SIGNATURE
    signature = ModelSignature.model_validate_json(described.read_bytes())
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
            signature=_mlflow_signature(signature),
            metadata={"spec": spec.name, "weights": trained.weights_hash},
        )
    text = spec.model_dump_json(indent=2) + "\n"
    (destination / "spec.json").write_text(text, encoding="utf-8")
    (destination / CARD).write_text(card, encoding="utf-8")
    shutil.copy(described, destination)
    shutil.copytree(workspace.path(split.reference), destination / REFERENCE)
    if evaluation.outputs is not None:
        shutil.copy(workspace.path(evaluation.outputs), destination / REFERENCE / OUTPUTS)
    if evaluation.compiled is not None:  # those of an older Modelyard have none
        _add_compiled(workspace.path(evaluation.compiled), trained, destination / COMPILED)
    return destination


def _add_compiled(source: Path, trained: TrainedModel, destination: Path) -> None:
    """Copy the compiled predictor, but never one of other weights."""
    record = source / "compiled.json"
    if record.is_file():
        made_of = json.loads(record.read_bytes()).get("weights")
        if made_of in {None, trained.weights_hash}:
            shutil.copytree(source, destination)


def _mlflow_signature(signature: ModelSignature) -> object:
    """Say MLflow what a row holds; only numbers have one type, for labels may be numbers or words."""
    from mlflow.models import ModelSignature as Signature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    columns = [
        ColSpec(
            type="double" if feature.type == "number" else AnyType(),
            name=feature.column,
            required=feature.required,
        )
        for feature in signature.inputs
    ]
    return Signature(inputs=Schema(columns)) if columns else None
