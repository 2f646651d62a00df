"""The code that a version was made with: the present one, or a commit in a folder of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import modelyard
from modelyard.errors import UsageError
from modelyard.tracking.environment import Commit, commit_of

GIT_SECONDS = 120
SHORT = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """Which code to run: a commit to check out, or the present code; and what to tell of it."""

    commit: str | None
    words: str


def choose(recorded: Commit, present: Commit) -> Choice:
    """Decide which code makes the version again; what was never committed cannot be had."""
    short = recorded.commit[:SHORT]
    if not recorded.commit:
        return Choice(None, "the present code: the version's commit is not recorded")
    if recorded == present:
        words = f"the present code, which is commit {short}"
        return Choice(None, words + (" with the same uncommitted changes" if present.dirty else ""))
    if recorded.dirty:
        return Choice(
            None,
            f"the present code: the version was made with uncommitted changes to {short}, which are not recorded",
        )
    return Choice(recorded.commit, f"commit {short}, checked out into a temporary folder")


def choose_for(project: Path, recorded: Commit) -> Choice:
    """Decide for this project's state; code that lies outside its repository is always the installed one."""
    choice = choose(recorded, commit_of(project))
    if choice.commit is not None and _inside(project) is None:
        words = f"the installed modelyard {modelyard.__version__}, for it is not in the repository of {project}"
        return Choice(None, words)
    return choice


@contextmanager
def checked_out(project: Path, commit: str | None, scratch: Path) -> Iterator[list[Path]]:
    """Give the import paths of the code, in a git worktree that is removed after the block.

    Raises:
        UsageError: git does not have the commit.
    """
    inside = _inside(project)
    if commit is None or inside is None:
        yield []
        return
    folder = scratch / "code"
    try:
        _git(project, "worktree", "add", "--detach", str(folder), commit)
    except subprocess.CalledProcessError as error:
        message = f"git cannot check out commit {commit[:SHORT]}: {error.stderr.strip()}"
        raise UsageError(message, hint="fetch it first, such as: git fetch --all") from error
    try:
        yield [folder / inside, folder]
    finally:
        _git(project, "worktree", "remove", "--force", str(folder))


def _inside(project: Path) -> Path | None:
    """Where modelyard's code lies in the project's repository; None if it lies elsewhere."""
    code = Path(modelyard.__file__).resolve().parents[1]
    try:
        root = Path(_git(project, "rev-parse", "--show-toplevel")).resolve()
    except subprocess.CalledProcessError:
        return None
    return code.relative_to(root) if code.is_relative_to(root) else None


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(project), *arguments],  # noqa: S607 - git of the machine
        capture_output=True,
        text=True,
        check=True,
        timeout=GIT_SECONDS,
    )
    return done.stdout.strip()
