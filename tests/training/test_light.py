"""Importing the room costs no Ludwig, torch, MLflow or pandas."""

from __future__ import annotations

import subprocess
import sys

LIGHT = ("build", "train", "tune", "folds", "evaluate", "gate", "signature", "log", "predictor")
HEAVY = ("ludwig", "torch", "mlflow", "pandas", "sklearn", "matplotlib", "ray")


def test_the_modules_that_stages_import_are_light() -> None:
    imports = "; ".join(f"import modelyard.training.{name}" for name in LIGHT)
    code = f"import sys; {imports}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
