"""What else a run depends on: code, packages, machine."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from modelyard import __version__

COMMIT = "mlflow.source.git.commit"
DIRTY = "modelyard.git_dirty"
CHANGES = "modelyard.git_changes_hash"
NAMED = ("ludwig", "torch", "mlflow", "pandas", "numpy", "scikit-learn")
GIT_SECONDS = 10


class Commit(BaseModel):
    """The state of the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str = Field(description="The git commit, or empty outside a repository.")
    dirty: bool = Field(description="Whether tracked files differ from it.")
    changes: str = Field(description="SHA-256 of the differences; empty if there are none.")


def commit_of(project: Path) -> Commit:
    """Ask git for the project's commit."""
    commit = _git(project, "rev-parse", "HEAD")
    changed = _git(project, "status", "--porcelain", "--untracked-files=no")
    changes = _sha256(changed + _git(project, "diff", "--binary", "HEAD")) if changed else ""
    return Commit(commit=commit, dirty=bool(changed), changes=changes)


def facts_of(project: Path) -> dict[str, str]:
    """Say as tags which code and which packages a run was made with."""
    state = commit_of(project)
    return {
        COMMIT: state.commit,
        DIRTY: str(state.dirty).lower(),
        **({CHANGES: state.changes} if state.dirty else {}),
        "modelyard.version": __version__,
        "modelyard.environment_hash": environment_hash(),
    }


def environment_hash() -> str:
    """SHA-256 over Python's version and every installed distribution: equal where results may be."""
    return _sha256("\n".join([platform.python_version(), *packages()]))


def describe() -> dict[str, str]:
    """Spell packages and machine as the files that a run keeps."""
    return {
        "environment/packages.txt": "\n".join(packages()) + "\n",
        "environment/machine.json": json.dumps(machine(), indent=2) + "\n",
    }


@cache
def packages() -> tuple[str, ...]:
    """Every installed distribution as NAME==VERSION, sorted, as `pip freeze` says it."""
    found = {f"{item.name}=={item.version}" for item in distributions() if item.name}
    return tuple(sorted(found, key=str.lower))


def machine() -> dict[str, str]:
    """Python, platform and the packages that shape results."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        **{name: version(name) for name in NAMED},
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _git(project: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
