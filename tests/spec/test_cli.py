"""The commands, as a shell sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelyard.cli.spec import app
from modelyard.errors import UsageError
from modelyard.settings import get_settings
from modelyard.spec.load import load_spec

type Raw = dict[str, Any]

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model_specs").mkdir()
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    return tmp_path / "model_specs"


def test_all_specs_of_the_project_are_checked_by_default(
    folder: Path, raw: Raw, written: Callable[[Raw], Path]
) -> None:
    written(raw).rename(folder / "flowers.yaml")
    said = CliRunner().invoke(app, ["check"])
    assert said.exit_code == 0
    assert said.stdout.startswith("model_specs/flowers.yaml: ok ")


def test_one_wrong_spec_makes_the_exit_code_1(
    folder: Path, raw: Raw, written: Callable[[Raw], Path]
) -> None:
    written(raw).rename(folder / "flowers.yaml")
    (folder / "broken.yaml").write_text("name: [")
    said = CliRunner().invoke(app, ["check"])
    assert said.exit_code == 1
    assert "model_specs/broken.yaml:" in said.stdout
    assert "model_specs/flowers.yaml: ok" in said.stdout
    assert "1 of 2 specs wrong" in said.stderr


@pytest.mark.usefixtures("folder")
def test_a_project_without_specs_is_told_how_to_begin() -> None:
    said = CliRunner().invoke(app, ["check"])
    assert isinstance(said.exception, UsageError)
    assert "modelyard spec new" in str(said.exception)


def test_json_answers_have_everything(
    folder: Path, raw: Raw, written: Callable[[Raw], Path]
) -> None:
    path = folder / "flowers.yaml"
    written(raw).rename(path)
    report = json.loads(CliRunner().invoke(app, ["check", "--json"]).stdout)
    assert report == [
        {
            "file": "model_specs/flowers.yaml",
            "name": "flowers",
            "ok": True,
            "hash": load_spec(path).hash,
            "problems": [],
        }
    ]


def test_the_schema_is_written_to_standard_output() -> None:
    said = CliRunner().invoke(app, ["schema"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["title"] == "Modelyard model spec"


def test_a_new_spec_is_written_and_passes(folder: Path) -> None:
    table = folder.parent / "iris.csv"
    table.write_text("width,kind\n" + "".join(f"{i}.5,{'ab'[i % 2]}\n" for i in range(60)))
    said = CliRunner().invoke(app, ["new", "iris", "--table", "iris.csv", "--target", "kind"])
    assert said.exit_code == 0
    assert "wrote model_specs/iris.yaml" in said.stdout
    assert CliRunner().invoke(app, ["check"]).exit_code == 0


def test_brackets_in_a_message_are_no_markup(folder: Path) -> None:
    (folder / "marked.yaml").write_text('"[bold]": 1\nname: marked\n')
    assert "[bold]" in CliRunner().invoke(app, ["check"]).stdout


@pytest.mark.parametrize("command", ["check", "schema", "new"])
def test_every_help_has_an_example(command: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"])
    assert said.exit_code == 0
    assert "Example:" in said.stdout


def test_checking_one_spec_takes_less_than_a_second_of_work() -> None:
    code = (
        "import sys,time\nfrom modelyard.cli.spec import app\n"
        "try: app(['check', sys.argv[1]])\n"
        "finally: print(time.process_time())"
    )
    spec = PROJECT / "model_specs" / "breast-cancer-mlp.yaml"
    seconds = [
        float(
            subprocess.run(
                [sys.executable, "-c", code, str(spec)],
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()[-1]
        )
        for _ in range(3)
    ]
    assert min(seconds) < 1


def test_fifty_specs_are_loaded_in_less_than_half_a_second_of_work() -> None:
    code = (
        "import sys,time\nfrom pathlib import Path\nfrom modelyard.spec.load import load_spec\n"
        "files=[Path(file) for file in sys.argv[1:]]*25\n"
        "load_spec(files[0])\n"
        "begin=time.process_time()\n"
        "for file in files: load_spec(file)\n"
        "print(time.process_time()-begin)"
    )
    specs = [
        str(PROJECT / "model_specs" / f"{name}.yaml")
        for name in ("digits-cnn", "breast-cancer-mlp")
    ]
    answer = subprocess.run(
        [sys.executable, "-c", code, *specs], capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) < 0.5
