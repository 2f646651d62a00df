"""Every shipped spec has a compiled predictor, proved on its whole test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from modelyard.artifacts import Evaluation, SplitData
from modelyard.runs import begin
from modelyard.settings import Settings
from modelyard.spec.load import find_specs, load_spec
from modelyard.stages import order, perform
from modelyard.training.compiled import open_compiled
from modelyard.workspace import Workspace

PROJECT = Path(__file__).parents[2]
SPECS = sorted(find_specs(PROJECT / "model_specs"))


@pytest.mark.nightly
@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_a_shipped_spec_is_compiled(file: Path, tmp_path: Path) -> None:
    """After one epoch: what is compared does not depend on how much was learned."""
    workspace = Workspace(Settings(project=PROJECT, MODELYARD_HOME=tmp_path / "home"))
    overrides: dict[str, JsonValue] = {
        "model.trainer.epochs": 1,
        "model.trainer.early_stop": -1,
        "gate": [],
    }
    run = begin(load_spec(file), "one-epoch", workspace, overrides=overrides)
    made: dict[str, Any] = {}
    for stage in order(run.spec):
        if stage not in {"register", "deploy"}:
            made[stage] = perform(stage, run, made, workspace)
    evaluation = Evaluation.model_validate(made["evaluate"])
    assert evaluation.compiled is not None
    compiled = open_compiled(workspace.path(evaluation.compiled))
    assert compiled.record is not None
    assert compiled.record.rows == SplitData.model_validate(made["split"]).rows[2]
    assert compiled.record.difference <= compiled.record.tolerance
