"""Each spec of the corpus is refused clearly, and only for what is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import SpecError
from modelyard.spec import yaml_text
from modelyard.spec.load import load_spec

HERE = Path(__file__).parent
WRONG = HERE / "wrong"
EXPECTED: dict[str, list[dict[str, Any]]] = yaml_text.read(
    (HERE / "expected.yaml").read_text(encoding="utf-8")
)[0]


def test_the_corpus_is_complete_and_large_enough() -> None:
    assert {path.name for path in WRONG.iterdir()} == set(EXPECTED)
    assert len(EXPECTED) >= 40


@pytest.mark.parametrize("name", EXPECTED)
def test_a_wrong_spec_is_refused_at_its_line_and_field(name: str) -> None:
    path = WRONG / name
    with pytest.raises(SpecError) as refused:
        load_spec(path)
    problems = refused.value.problems
    assert [(problem.line, problem.field) for problem in problems] == [
        (entry["line"], entry["field"]) for entry in EXPECTED[name]
    ]
    for problem, entry in zip(problems, EXPECTED[name], strict=True):
        assert problem.file == str(path)
        assert entry["says"] in f"{problem.message} ({problem.hint})"


@pytest.fixture(scope="module")
def answer() -> subprocess.CompletedProcess[str]:
    """What the real command says of the whole corpus."""
    files = [f"wrong/{name}" for name in EXPECTED]
    return command("check", "--json", *files)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from modelyard.cli.spec import app; app()"
    environment = {**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_refuses_the_corpus_without_a_traceback(
    answer: subprocess.CompletedProcess[str],
) -> None:
    assert answer.returncode == 1
    assert answer.stderr == ""
    reports = json.loads(answer.stdout)
    assert [report["file"] for report in reports] == [f"wrong/{name}" for name in EXPECTED]
    assert not any(report["ok"] for report in reports)


def test_the_command_says_the_same_as_the_library(
    answer: subprocess.CompletedProcess[str],
) -> None:
    for report in json.loads(answer.stdout):
        expected = EXPECTED[Path(report["file"]).name]
        found = [(problem["line"], problem["field"]) for problem in report["problems"]]
        assert found == [(entry["line"], entry["field"]) for entry in expected]


def test_each_problem_is_one_line_of_text_with_file_line_and_field() -> None:
    said = command("check", "wrong/epochs-as-word.yaml")
    place = "wrong/epochs-as-word.yaml:16: model.trainer"
    unknown = "is not a key of Ludwig's trainer (did you mean `epochs`?)"
    assert said.stdout.splitlines() == [
        f"{place}.epochs: must be a whole number, not `ten`",
        f"{place}.epoch: {unknown}",
    ]
    assert "1 of 1 specs wrong" in said.stderr


def test_only_what_cannot_be_read_at_all_is_refused_without_a_field() -> None:
    without = {name for name, entries in EXPECTED.items() if not entries[0]["field"]}
    assert len(EXPECTED) - len(without) >= 60
    assert all("Ludwig" not in EXPECTED[name][0]["says"] for name in without)
