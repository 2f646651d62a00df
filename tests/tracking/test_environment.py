"""A run says what code and packages it came from."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from modelyard.tracking.environment import (
    commit_of,
    environment_hash,
    facts_of,
    machine,
    packages,
)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607 - git of the machine


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_commit_is_named(repository: Path) -> None:
    state = commit_of(repository)
    assert len(state.commit) == 40
    assert not state.dirty


def test_a_change_to_a_tracked_file_is_dirty(repository: Path) -> None:
    (repository / "file").write_text("two")
    assert commit_of(repository).dirty


def test_different_changes_have_different_hashes(repository: Path) -> None:
    hashes = set()
    for text in ("two", "three", "two"):
        (repository / "file").write_text(text)
        hashes.add(commit_of(repository).changes)
    assert len(hashes) == 2


def test_facts_name_code_and_environment(repository: Path) -> None:
    clean = facts_of(repository)
    assert clean["modelyard.git_dirty"] == "false"
    assert "modelyard.git_changes_hash" not in clean
    assert clean["modelyard.environment_hash"] == environment_hash()
    assert len(clean["modelyard.environment_hash"]) == 64


def test_an_untracked_file_is_not(repository: Path) -> None:
    (repository / "notes").write_text("later")
    assert not commit_of(repository).dirty


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path).commit == ""


def test_packages_are_pinned_and_sorted() -> None:
    listed = packages()
    assert f"mlflow=={version('mlflow')}" in listed
    assert list(listed) == sorted(listed, key=str.lower)


def test_the_machine_names_what_shapes_results() -> None:
    described = machine()
    assert described["torch"] == version("torch")
    assert described["python"].startswith("3.")
