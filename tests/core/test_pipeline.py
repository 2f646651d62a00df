"""dvc.yaml in a clone, by DVC's own command line: what is unchanged is not made again."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.heavy
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STEPS = ("pull", "validate", "transform", "split")
COPIED = ("dvc.yaml", ".dvcignore", "model_specs", "data", ".dvc/config", ".dvc/.gitignore")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work tree of its own, with the example data pulled from the remote that ships."""
    folder = tmp_path_factory.mktemp("clone")
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "pull", "--quiet", "data/digits.dvc", "data/breast-cancer.dvc")
    reproduce(folder)
    return folder


def run(folder: Path, *command: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**own, "PATH": f"{BIN}{os.pathsep}{own['PATH']}", "DVC_NO_ANALYTICS": "true"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def reproduce(folder: Path) -> str:
    """Bring one spec to its split; of the other, two steps are enough to see them left alone."""
    return run(folder, "dvc", "repro", "validate@digits-cnn", "split@breast-cancer-mlp")


def test_every_shipped_spec_is_in_the_pipeline() -> None:
    (variables,) = yaml.safe_load((ROOT / "dvc.yaml").read_text())["vars"]
    assert set(variables["specs"]) == {path.stem for path in (ROOT / "model_specs").glob("*.yaml")}


def test_a_second_repro_does_nothing(clone: Path) -> None:
    assert "Running stage" not in reproduce(clone)


def test_the_graph_has_every_step_of_every_spec(clone: Path) -> None:
    graph = run(clone, "dvc", "dag", "--dot")
    for spec in ("digits-cnn", "breast-cancer-mlp"):
        assert [step for step in STEPS if f"{step}@{spec}" not in graph] == []


def test_a_changed_spec_reruns_only_its_own_stages(clone: Path) -> None:
    file = clone / "model_specs" / "breast-cancer-mlp.yaml"
    file.write_text(file.read_text().replace("seed: 42}", "seed: 43}"))
    said = reproduce(clone)
    assert "Running stage 'split@breast-cancer-mlp'" in said
    assert not re.search(r"Running stage '\w+@digits-cnn'", said)
