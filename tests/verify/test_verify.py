"""A version is made again from its record alone, and the answer says how equal it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from modelyard.cli.app import build_app
from modelyard.errors import TrackingError, TrainingError, UsageError
from modelyard.settings import Settings, get_settings
from modelyard.tracking import registry
from modelyard.tracking.environment import Commit
from modelyard.tracking.records import Record, record_of
from modelyard.verify import again, code
from modelyard.verify.again import Made, Verified, gap, judge, verify
from modelyard.verify.code import checked_out, choose, choose_for
from modelyard.workspace import Workspace
from tests.tracking.samples import make, spec, workspace_in

CLEAN = Commit(commit="a" * 40, dirty=False, changes="")
DIRTY = Commit(commit="a" * 40, dirty=True, changes="c")
METRICS = {"label.accuracy": 0.9, "label.rmse": 50.0}


def record(**changes: Any) -> Record:
    content: dict[str, Any] = {
        "title": "flowers 1",
        "spec": {"name": "flowers"},
        "config": {"trainer": {}},
        "code": CLEAN,
        "packages": "",
        "revision": "work tree",
        "content": "h",
        "weights": "w",
        "metrics": METRICS,
    }
    return Record.model_validate(content | changes)


@pytest.mark.parametrize(
    ("recorded", "present", "commit", "words"),
    [
        (CLEAN, CLEAN, None, "the present code, which is commit aaaaaaaaaaaa"),
        (DIRTY, DIRTY, None, "same uncommitted changes"),
        (CLEAN, DIRTY, "a" * 40, "checked out"),
        (CLEAN, Commit(commit="b" * 40, dirty=False, changes=""), "a" * 40, "checked out"),
        (DIRTY, CLEAN, None, "which are not recorded"),
        (Commit(commit="", dirty=False, changes=""), CLEAN, None, "is not recorded"),
    ],
)
def test_the_recorded_code_is_chosen_where_it_can_be_had(
    recorded: Commit, present: Commit, commit: str | None, words: str
) -> None:
    choice = choose(recorded, present)
    assert choice.commit == commit
    assert words in choice.words


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],  # noqa: S607 - git of the machine
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits of one file."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    for text in ("old", "new"):
        (folder / "code.py").write_text(text)
        git(folder, "add", "code.py")
        git(folder, "commit", "-qm", text)
    return folder


def test_a_commit_is_checked_out_for_the_block_only(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "_inside", lambda _: Path("include"))
    old = git(repository, "rev-parse", "HEAD~1")
    with checked_out(repository, old, tmp_path) as (include, root):
        assert (root / "code.py").read_text() == "old"
        assert include == root / "include"
    assert not root.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert (repository / "code.py").read_text() == "new"


def test_a_commit_that_git_does_not_have_is_a_users_error(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "_inside", lambda _: Path())
    with (
        pytest.raises(UsageError, match=r"cannot check out commit f+.*git fetch"),
        checked_out(repository, "f" * 40, tmp_path),
    ):
        pass


def test_code_outside_the_projects_repository_is_the_installed_one(repository: Path) -> None:
    old = Commit(commit=git(repository, "rev-parse", "HEAD~1"), dirty=False, changes="")
    choice = choose_for(repository, old)
    assert choice.commit is None
    assert "the installed modelyard" in choice.words


def test_equal_weights_are_identical_whatever_the_metrics() -> None:
    found = judge(record(), Made(weights="w", metrics={}), 0.0, ())
    assert (found.outcome, found.difference, found.metric) == ("identical", 0.0, None)


@pytest.mark.parametrize(
    ("made", "outcome", "metric"),
    [
        ({"label.accuracy": 0.905, "label.rmse": 50.1}, "within tolerance", "label.accuracy"),
        ({"label.accuracy": 0.9, "label.rmse": 51.0}, "different", "label.rmse"),
        ({"another": 1.0}, "different", None),
    ],
)
def test_other_weights_are_judged_by_the_worst_metric(
    made: dict[str, float], outcome: str, metric: str | None
) -> None:
    found = judge(record(), Made(weights="x", metrics=made), 0.01, ())
    assert (found.outcome, found.metric) == (outcome, metric)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_gap_is_none_for_equal_values_and_never_negative(one: float, other: float) -> None:
    assert gap(one, one) == 0
    assert gap(one, other) >= 0


@pytest.mark.parametrize(
    ("revision", "commit", "expected"),
    [
        ("work tree", "a", ["a", None]),
        ("b", "a", ["b", "a", None]),
        ("", "", [None]),
    ],
)
def test_data_are_looked_for_where_they_were_first(
    revision: str, commit: str, expected: list[str | None]
) -> None:
    made_with = Commit(commit=commit, dirty=False, changes="")
    assert again._revisions(record(revision=revision, code=made_with)) == expected


def test_notes_say_what_is_not_as_then() -> None:
    searched = record(spec={"tune": {}}, packages="other")
    assert len(again._notes(searched, Made())) == 2
    assert again._notes(record(), Made()) == []
    assert "another configuration" in again._notes(record(), Made(same_config=False))[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return workspace_in(tmp_path).settings


def made_by(
    body: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Made, list[str]]:
    """Run a script in the place of the child."""
    script = tmp_path / "child.py"
    script.write_text(f"import json, os, sys\nrequest = json.load(sys.stdin)\n{body}\n")
    monkeypatch.setattr(again, "CHILD", script)
    told: list[str] = []
    return again._make(settings, record(), [Path("/old")], tmp_path, told.append), told


def test_the_child_is_told_all_and_heard(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in again.OF_THE_STACK:
        monkeypatch.setenv(f"MODELYARD_{name}", "the stack's")
    body = """
seen = {k: v for k, v in os.environ.items() if k.startswith(("MODELYARD", "PYTHONPATH"))}
print("train: epoch 1/3", file=sys.stderr)
print("noise")
json.dump({"weights": json.dumps(seen)}, open(request["answer"], "w"))
"""
    made, told = made_by(body, settings, tmp_path, monkeypatch)
    assert told == ["train: epoch 1/3"]
    seen = json.loads(made.weights)
    assert seen["PYTHONPATH"].startswith("/old")
    assert seen["MODELYARD_HOME"] == str(tmp_path / "home")
    assert seen["MODELYARD_PROJECT"] == str(settings.project)
    assert "the stack's" not in seen.values()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('sys.exit("killed")', "killed"),
        ("os._exit(9)", "its process died"),
        ('json.dump({"error": "no rows"}, open(request["answer"], "w"))', "no rows"),
    ],
)
def test_what_cannot_be_made_again_says_why(
    body: str,
    words: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TrainingError, match=f"flowers 1 cannot be made again: .*{words}"):
        made_by(body, settings, tmp_path, monkeypatch)


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """One registered version."""
    workspace = workspace_in(tmp_path)
    made = make(workspace)
    registry.register(spec(), workspace, made.split, made.trained, made.evaluation, run="r")
    return workspace


def test_a_record_that_says_too_little_is_refused(home: Workspace) -> None:
    with pytest.raises(TrackingError, match=r"no record of the config, content of flowers 1"):
        record_of(home.settings, "flowers", 1)


def test_a_version_that_is_not_there_is_a_users_error(home: Workspace) -> None:
    with pytest.raises(UsageError, match="no version 2"):
        verify(home.settings, "flowers", 2, 0.01, lambda _: None)


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        ("identical", 0, "bit for bit"),
        ("within tolerance", 0, "differs most, by 0.001"),
        ("different", 1, "made again"),
    ],
)
def test_the_command_says_it_and_exits_so(
    outcome: Any, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Verified(
        version="flowers 1",
        outcome=outcome,
        difference=0.001,
        metric="label.accuracy",
        tolerance=0.01,
        recorded=METRICS,
        made=METRICS,
        notes=("a note",),
    )
    monkeypatch.setattr(again, "verify", lambda *_: found)
    result = CliRunner().invoke(build_app(), ["verify", "flowers", "1"])
    assert result.exit_code == code
    assert words in result.stdout
    assert "a note" in result.stdout


@pytest.mark.heavy
def test_a_tuned_version_is_made_again_without_the_search_and_the_stage_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained here with a configuration that the spec alone does not give; made again, bit for bit."""
    from tests.training.samples import iris_rows, iris_spec

    (tmp_path / "data").mkdir()
    (tmp_path / "model_specs").mkdir()
    iris_rows().drop(columns="split").to_csv(tmp_path / "data" / "iris.csv", index=False)
    search = {"trials": 1, "parameters": {"trainer.epochs": {"space": "choice", "categories": [2]}}}
    workspace = workspace_in(tmp_path)
    _train_as_if_searched(workspace, iris_spec(tune=search))
    shutil.rmtree(workspace.home / "stages")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    told: list[str] = []
    found = verify(workspace.settings, "iris", 1, 0.01, told.append)
    assert found.outcome == "identical", found
    assert any("without the search" in note for note in found.notes)
    assert any("epoch 2/2" in line for line in told)
    assert not list(workspace.home.glob("stages/train/*"))


def _train_as_if_searched(workspace: Workspace, tuned: Any) -> None:
    from modelyard.runs import Run
    from modelyard.spec.models import content_hash
    from modelyard.stages import perform

    run = Run(id="first", spec=tuned)
    artifacts: dict[str, Any] = {}
    for stage in ("pull", "validate", "transform", "split", "build"):
        artifacts[stage] = perform(stage, run, artifacts, workspace)
    file = workspace.path(artifacts["build"]["config"])
    config = json.loads(file.read_bytes())
    config["trainer"]["epochs"] = 2
    file.write_text(json.dumps(config))
    artifacts["build"]["config_hash"] = content_hash(config)
    for stage in ("train", "evaluate", "register"):
        artifacts[stage] = perform(stage, run, artifacts, workspace)


def test_the_child_imports_nothing_heavy_before_it_is_asked() -> None:
    get_settings.cache_clear()
    source = again.CHILD.read_text()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, runpy; runpy.run_path({str(again.CHILD)!r}); print('modelyard' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
    assert "import ludwig" not in source
