"""What else a run depends on: code, packages, machine."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

NAMED = ("ludwig", "torch", "mlflow", "pandas", "numpy", "scikit-learn")
GIT_SECONDS = 10


class Commit(BaseModel):
    """The state of the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str = Field(description="The git commit, or empty outside a repository.")
    dirty: bool = Field(description="Whether tracked files differ from it.")


def commit_of(project: Path) -> Commit:
    """Ask git for the project's commit."""
    commit = _git(project, "rev-parse", "HEAD")
    changed = _git(project, "status", "--porcelain", "--untracked-files=no")
    return Commit(commit=commit, dirty=bool(changed))


def packages() -> list[str]:
    """Every installed distribution as NAME==VERSION, sorted, as `pip freeze` says it."""
    found = {f"{item.name}=={item.version}" for item in distributions() if item.name}
    return sorted(found, key=str.lower)


def machine() -> dict[str, str]:
    """Python, platform and the packages that shape results."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        **{name: version(name) for name in NAMED},
    }


def _git(project: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
