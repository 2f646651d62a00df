"""The command line as a script meets it: exit codes, one text a refusal, JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    "run",
    "stage",
    "spec",
    "data",
    "models",
    "drift",
    "watch",
    "alerts",
    "retrainings",
    "explain",
    "db",
    "up",
    "down",
    "status",
    "logs",
)
SPEC = """\
version: 1
name: toy
data: {path: data/toy.csv, checks: [{column: x, type: number}]}
model:
  input_features: [{name: x, type: number}]
  output_features: [{name: label, type: binary}]
"""


@pytest.fixture
def toy(project: Path) -> Path:
    (project / "model_specs" / "toy.yaml").write_text(SPEC)
    (project / "data").mkdir()
    rows = "\n".join(f"{n},{n % 2}" for n in range(40))
    (project / "data" / "toy.csv").write_text(f"x,label\n{rows}\n")
    return project


def modelyard(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("modelyard"), *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_every_command(project: Path) -> None:
    done = modelyard(project, "--help")
    assert done.returncode == 0
    assert [name for name in COMMANDS if name not in done.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(project: Path, command: str) -> None:
    done = modelyard(project, command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_a_stage_answers_with_its_artifact_in_json(toy: Path) -> None:
    done = modelyard(toy, "stage", "pull", "toy", "--json")
    assert done.returncode == 0, done.stderr
    artifact = json.loads(done.stdout)
    assert artifact["files"] == 1
    assert artifact["table"] is not None


def test_a_stage_writes_its_artifact_for_dvc(toy: Path) -> None:
    done = modelyard(toy, "stage", "validate", "toy", "--write", "pipeline/toy")
    assert done.returncode == 0, done.stderr
    assert json.loads((toy / "pipeline" / "toy" / "validate.json").read_text())["passed"] is True


def test_broken_data_exits_with_one_and_no_traceback(toy: Path) -> None:
    (toy / "data" / "toy.csv").write_text("x,label\nten,1\n2,0\n")
    done = modelyard(toy, "stage", "validate", "toy")
    assert done.returncode == 1
    assert "row 1" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_wrong_spec_exits_with_one_and_says_where(toy: Path) -> None:
    file = toy / "model_specs" / "toy.yaml"
    file.write_text(SPEC + "gate: [{metric: label.accuracy, at_leest: 0.9}]\n")
    done = modelyard(toy, "run", "toy")
    assert done.returncode == 1
    assert "toy.yaml:7" in done.stderr
    assert "at_least" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("stage", "polish", "toy"),
        ("run", "tooy"),
        ("run", "toy", "--set", "seed"),
        ("run", "toy", "--tune"),
        ("stage", "tune", "toy"),
        ("no-such-command",),
    ],
)
def test_a_command_that_cannot_work_exits_with_two(toy: Path, arguments: tuple[str, ...]) -> None:
    done = modelyard(toy, *arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_spec_name_gets_the_nearest(toy: Path) -> None:
    assert "toy" in modelyard(toy, "run", "tooy").stderr


def test_the_command_line_starts_without_heavy_imports(project: Path) -> None:
    code = (
        "import sys; from modelyard.cli.app import build_app; build_app();"
        "heavy = {'ludwig', 'torch', 'mlflow', 'ray', 'whylogs', 'pandas', 'sqlalchemy', 'dvc'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
