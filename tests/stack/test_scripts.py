"""The shell scripts and the Makefile, as far as they can be run without the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*ROOT.glob("scripts/*.sh"), ROOT / ".ci" / "run"])
TOOLS = ("bash", "env", "grep", "cat", "rm", "dirname", "touch", "awk", "mktemp", "id", "tail")


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, name
    return found


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with the usual small tools and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(tool(name))
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "install.sh", folder / "scripts")
    (folder / "requirements.lock").write_text("uv==0.1 \\\n    --hash=sha256:00\n")
    return folder


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def call(script: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_valid_and_can_be_run(script: Path) -> None:
    subprocess.run([tool("bash"), "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)
    assert re.search(r"^set -eu", script.read_text(), re.MULTILINE)


def test_a_wrong_python_is_refused_with_what_to_do(clone: Path, tools: Path) -> None:
    program(tools, "python3", 'case "$1" in --version) echo Python 3.11.9;; *) echo 3.11;; esac')
    done = call(clone / "scripts" / "install.sh", tools)
    assert done.returncode == 1
    assert "needs Python 3.12; found: Python 3.11.9" in done.stderr
    assert "pyenv install 3.12" in done.stderr
    assert not (clone / ".venv").exists()


def test_no_python_at_all_is_refused_too(clone: Path, tools: Path) -> None:
    done = call(clone / "scripts" / "install.sh", tools)
    assert done.returncode == 1
    assert "found: no Python" in done.stderr


def test_uv_provides_a_python_where_there_is_none(clone: Path, tools: Path) -> None:
    log = clone / "log"
    program(tools, "uv", f'echo "$@" >> "{log}"')
    done = call(clone / "scripts" / "install.sh", tools)
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines() == [
        "venv --quiet --python 3.12 .venv",
        "pip sync --quiet --require-hashes requirements.lock",
        "pip install --quiet --no-deps --no-build-isolation --editable .",
    ]


def test_a_right_python_makes_the_environment(clone: Path, tools: Path) -> None:
    log = clone / "log"
    program(tools, "uv", f'echo "$1 $2" >> "{log}"')
    program(tools, "python3.12", f'[ "$1" = -c ] && echo 3.12 || echo "$@" >> "{log}"')
    done = call(clone / "scripts" / "install.sh", tools)
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines() == ["-m venv .venv", "pip sync", "pip install"]


def test_uv_comes_from_the_lock_with_its_hashes() -> None:
    script = (ROOT / "scripts" / "install.sh").read_text()
    [rule] = re.findall(r"awk '(.+)' requirements.lock", script)
    done = subprocess.run(
        [tool("awk"), rule, ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("uv==")
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
    assert len(lines) > 5


def test_no_file_names_a_package_registry() -> None:
    files = [ROOT / "Makefile", ROOT / "requirements.lock", *SCRIPTS]
    hosts = re.compile(
        r"index-url [^-]|extra-index|find-links|https?://[^/]*(pypi|simple|artifact)"
    )
    found = [
        f"{file.name}: {line}"
        for file in files
        for line in file.read_text().splitlines()
        if hosts.search(line)
    ]
    assert found == []


def test_make_alone_lists_the_verbs() -> None:
    done = subprocess.run([tool("make"), "-C", ROOT], capture_output=True, text=True, check=True)
    for verb in ("install", "demo", "up", "down", "status", "logs", "test", "lint", "lock"):
        assert f"make {verb} " in done.stdout


def test_chromium_that_is_there_is_left_alone(tools: Path) -> None:
    program(tools, "chromium", "exit 0")
    done = call(ROOT / "scripts" / "install_chromium.sh", tools)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_chromium_without_a_way_to_install_it_is_refused(tools: Path) -> None:
    done = call(ROOT / "scripts" / "install_chromium.sh", tools)
    assert done.returncode == 1
    assert "this system has no apt-get" in done.stderr


def test_chromium_that_cannot_be_installed_shows_why(tools: Path) -> None:
    program(tools, "apt-get", "echo no network; exit 1")
    program(tools, "id", "echo 0")
    done = call(ROOT / "scripts" / "install_chromium.sh", tools)
    assert done.returncode == 1
    assert "no network" in done.stderr
