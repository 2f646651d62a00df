"""The examples of docs/endpoint.md work, and its limits and problems are those of the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from modelyard.tracking.client import quiet
from serving.http.limits import MOST_BYTES
from serving.http.problems import KINDS
from serving.requests.bodies import MOST_FIELDS, MOST_ROWS
from serving.requests.images import MOST_PIXELS, MOST_SCANS
from serving.requests.reading import BODY_SECONDS
from serving.requests.values import LONGEST_LABEL, LONGEST_TEXT, MOST_STEPS
from tests.serving.fakes import picture
from tests.serving.live import Live

BASH = shutil.which("bash") or "/bin/bash"
PAGE = Path(__file__).parents[2] / "docs" / "endpoint.md"
ADDRESS = "127.0.0.1:8000"
REFUSED = '"length": "long"'


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "digit.png").write_bytes(picture())
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("block", blocks("bash"))
def test_each_command_is_answered(live: Live, folder: Path, block: str) -> None:
    commands = block.replace(ADDRESS, live.address).replace("curl -s ", "curl -s --fail-with-body ")
    done = subprocess.run(
        [BASH, "-e", "-o", "pipefail", "-c", commands],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "no_proxy": "127.0.0.1"},
    )
    assert (done.returncode != 0) is (REFUSED in block), done.stdout + done.stderr
    assert done.stdout


@pytest.mark.parametrize("block", blocks("python"))
def test_each_program_runs(
    live: Live,
    folder: Path,
    block: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    port = live.address.partition(":")[2]
    with quiet():
        exec(block.replace(ADDRESS, live.address).replace('"8000/', f'"{port}/'), {})  # noqa: S102
    assert re.search(r"b'1'|\ba\b", capsys.readouterr().out)


def test_every_kind_of_problem_stands_in_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if kind != "other" and f"`{kind}`" not in text] == []


def test_every_path_of_the_openapi_document_is_spoken_of(live: Live) -> None:
    text = PAGE.read_text(encoding="utf-8")
    paths = httpx.get(f"{live.url}/openapi.json").json()["paths"]
    words = {path.split("/")[-1] for path in paths if not path.endswith("}")}
    assert {word for word in words if f"/{word}" not in text} == set()


def test_the_limits_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8").replace(",", "")
    for limit in (
        f"{MOST_BYTES // 1024**2} MB arriving within {BODY_SECONDS:g} s",
        f"| rows in a request | {MOST_ROWS} |",
        f"{MOST_FIELDS} fields",
        f"{MOST_PIXELS // 1_000_000} million pixels",
        f"{MOST_SCANS} scans",
        f"{LONGEST_LABEL} characters",
        f"{LONGEST_TEXT} characters",
        f"{MOST_STEPS} numbers",
    ):
        assert limit in text
