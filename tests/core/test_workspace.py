import multiprocessing
from pathlib import Path
from typing import ClassVar

import pytest

from modelyard.artifacts import Artifact
from modelyard.settings import Settings
from modelyard.workspace import ARTIFACT, Workspace, write_atomically


class Note(Artifact):
    stage: ClassVar[str] = "note"
    text: str


class Trained(Artifact):
    stage: ClassVar[str] = "train"
    text: str


class Maker:
    """Counts how often it was asked to make something."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path, key: str) -> Note:
        self.calls += 1
        (folder / "file").write_text("made")
        return Note(key=key, text=f"call {self.calls}")


def test_a_stage_is_made_once_for_the_same_dependencies(workspace: Workspace) -> None:
    make = Maker()
    first = workspace.once(Note, {"a": 1}, make)
    assert workspace.once(Note, {"a": 1}, make) == first
    assert make.calls == 1


def test_other_dependencies_make_another(workspace: Workspace) -> None:
    make = Maker()
    first = workspace.once(Note, {"a": 1}, make)
    second = workspace.once(Note, {"a": 2}, make)
    assert first.key != second.key
    assert make.calls == 2


def test_a_folder_left_by_a_crash_is_begun_anew(workspace: Workspace) -> None:
    def crash(folder: Path, key: str) -> Note:
        (folder / "half").write_text(key)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.once(Note, "x", crash)
    seen = []

    def look(folder: Path, key: str) -> Note:
        seen.extend(folder.iterdir())
        return Note(key=key, text="whole")

    assert workspace.once(Note, "x", look).text == "whole"
    assert seen == []


def test_a_half_written_artifact_counts_as_not_made(workspace: Workspace) -> None:
    make = Maker()
    workspace.once(Note, "x", make)
    (file,) = workspace.home.glob(f"stages/note/*/{ARTIFACT}")
    file.write_text('{"key": "ab')
    assert workspace.once(Note, "x", make).text == "call 2"


def test_a_fresh_run_trains_again_but_does_not_pull_again(workspace: Workspace) -> None:
    make = Maker()
    fresh = workspace.salted("run-2")
    assert workspace.once(Note, "x", make) == fresh.once(Note, "x", make)
    trained = [
        place.once(Trained, "x", lambda _folder, key: Trained(key=key, text=""))
        for place in (workspace, fresh)
    ]
    assert trained[0].key != trained[1].key


def _append(home: str, marker: str) -> None:
    def make(folder: Path, key: str) -> Note:
        with Path(marker).open("a") as stream:
            stream.write("made\n")
        (folder / "file").write_text("x")
        return Note(key=key, text="one")

    Workspace(Settings(project=Path(home))).once(Note, "shared", make)


def test_four_processes_at_once_make_it_once(project: Path) -> None:
    marker = project / "marker"
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_append, args=(str(project), str(marker))) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert marker.read_text() == "made\n"


def test_an_atomic_write_leaves_no_partial_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.json"
    write_atomically(target, "one")
    write_atomically(target, "two")
    assert target.read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["file.json"]


def test_paths_of_artifacts_are_relative_to_home(workspace: Workspace) -> None:
    inside = workspace.home / "stages" / "pull" / "ab" / "data"
    assert workspace.relative(inside) == "stages/pull/ab/data"
    assert workspace.path("stages/pull/ab/data") == inside


def test_work_in_progress_outlives_a_failure_and_goes_when_all_is_done(
    workspace: Workspace,
) -> None:
    attempts: list[bool] = []

    def make(folder: Path, key: str) -> Note:
        note = workspace.kept(key) / "note"
        attempts.append(note.exists())
        assert not list(folder.iterdir())
        if not attempts[-1]:
            note.parent.mkdir(parents=True)
            note.touch()
            (folder / "half a model").touch()
            message = "killed"
            raise RuntimeError(message)
        return Note(key=key, text="done")

    with pytest.raises(RuntimeError, match="killed"):
        workspace.once(Note, "same", make)
    done = workspace.once(Note, "same", make)
    assert attempts == [False, True]
    assert not workspace.kept(done.key).exists()
