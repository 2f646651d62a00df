"""`modelyard data`, and what the room costs to import."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelyard.cli.data import app
from modelyard.data.progress import Progress, size_text
from modelyard.errors import UsageError
from modelyard.settings import get_settings
from tests.data.conftest import TABLE

SPEC = """\
name: numbers
data: {path: data/numbers, table: table.csv, revision: v1}
model:
  input_features: [{name: x, type: number}]
  output_features: [{name: label, type: category}]
"""
HEAVY = ("dvc", "pandas", "numpy", "pyarrow", "PIL", "tifffile", "sqlalchemy", "httpx", "jinja2")


@pytest.fixture
def cli(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("MODELYARD_PROJECT", str(project))
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    (project / "model_specs").mkdir()
    (project / "model_specs" / "numbers.yaml").write_text(SPEC, encoding="utf-8")
    get_settings.cache_clear()
    yield CliRunner()
    get_settings.cache_clear()


def test_ingest_says_what_to_do_next(cli: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE, encoding="utf-8")
    done = cli.invoke(app, ["ingest", str(tmp_path / "a.csv"), "data/new"])
    assert done.exit_code == 0, done.output
    assert "git add data/new.dvc data/.gitignore" in done.stdout
    assert "dvc push" in done.stdout


def test_ingest_answers_scripts_in_json_alone(cli: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE, encoding="utf-8")
    done = cli.invoke(app, ["ingest", str(tmp_path / "a.csv"), "data/new", "--json"])
    answer = json.loads(done.stdout)
    assert (answer["path"], answer["files"]) == ("data/new", 1)


def test_a_refusal_reaches_the_caller_as_a_usage_error(cli: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE, encoding="utf-8")
    done = cli.invoke(app, ["ingest", str(tmp_path / "a.csv"), "data/numbers"])
    assert isinstance(done.exception, UsageError)


def test_pull_tells_the_folder(cli: CliRunner, tmp_path: Path) -> None:
    done = cli.invoke(app, ["pull", "numbers"])
    assert done.exit_code == 0, done.output
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(tmp_path / "home")
    assert (folder / "table.csv").read_text(encoding="utf-8") == TABLE


def test_pull_answers_scripts_with_the_artifact(cli: CliRunner) -> None:
    answer = json.loads(cli.invoke(app, ["pull", "numbers", "--json"]).stdout)
    assert answer["table"] == "table.csv"
    assert len(answer["revision"]) == 40


def test_the_log_is_left_as_it_was(cli: CliRunner) -> None:
    logger = logging.getLogger("modelyard.data")
    before = (logger.level, list(logger.handlers))
    cli.invoke(app, ["pull", "numbers"])
    assert (logger.level, list(logger.handlers)) == before


def test_all_of_the_room_is_light_to_import() -> None:
    modules = ["pull", "validate", "transform", "split", "ingest", "tracked", "plain"]
    names = [f"modelyard.data.{name}" for name in modules] + ["modelyard.cli.data"]
    code = f"import sys, {', '.join(names)}; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


class TestProgress:
    def test_short_work_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            Progress(logging.getLogger("modelyard.data"), "working", 3).add(3)
        assert caplog.text == ""

    def test_long_work_says_how_far_it_is(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 100.0
        monkeypatch.setattr("modelyard.data.progress.time.monotonic", lambda: now)
        progress = Progress(logging.getLogger("modelyard.data"), "fetching", 4096, size_text)
        with caplog.at_level(logging.INFO):
            for seconds in (1.0, 1.0, 1.0, 1.0):
                now += seconds
                progress.add(1024)
        messages = [record.getMessage() for record in caplog.records]
        assert messages == ["fetching: 2.0 KiB of 4.0 KiB", "fetching: 4.0 KiB of 4.0 KiB"]

    @pytest.mark.parametrize(
        ("size", "text"),
        [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")],
    )
    def test_sizes_are_spelt_for_people(self, size: int, text: str) -> None:
        assert size_text(size) == text
