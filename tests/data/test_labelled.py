"""A data revision out of labelled predictions, with real git and DVC."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from modelyard.data.added import BASE, MARKER
from modelyard.data.append import append_rows
from modelyard.data.branch import Branch
from modelyard.data.labelled import Addition, DataRevision, TooFewRows, addition
from modelyard.data.pull import pull
from modelyard.data.split import assign_rows
from modelyard.data.tables import read_table
from modelyard.errors import DataError
from modelyard.monitoring.observe import measure_of
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.store.predictions import Labelled
from modelyard.workspace import Workspace
from tests.data.conftest import commit, git, make_spec, track, workspace_of, write_images

AT = datetime(2026, 11, 1, tzinfo=UTC)
BRANCH = "modelyard/data/test"


def observe(kind: str, value: object) -> object:
    return measure_of(kind)(value)[""]


def predicted(number: int, x: float, y: float, label: object = "a", **changes: object) -> Labelled:
    fields = {
        "id": f"{number:032x}",
        "at": AT,
        "inputs": {"x": x, "y": y},
        "outputs": {"label": "b"},
        "probability": {"label": 0.6},
        "raw": None,
        "truth": {"label": label},
    }
    return Labelled(**{**fields, **changes})


def new_ones(count: int, start: int = 1000) -> list[Labelled]:
    return [predicted(n, n + 0.5, float(n), "ab"[n % 2]) for n in range(start, start + count)]


@contextmanager
def adding(
    workspace: Workspace, found: Sequence[Labelled], spec: Spec | None = None
) -> Iterator[Addition]:
    with addition(spec or make_spec(), workspace, [found], observe) as new:
        yield new


def revise(
    workspace: Workspace,
    found: Sequence[Labelled],
    spec: Spec | None = None,
    retraining: str = "r1",
) -> DataRevision:
    with adding(workspace, found, spec) as new:
        return new.record({"Modelyard-Alert": "a1"}, retraining)


def pulled(workspace: Workspace, made: DataRevision, spec: Spec | None = None) -> pd.DataFrame:
    """The table as a run pulls it."""
    spec = spec or make_spec()
    data = spec.data.model_copy(update={"revision": made.commit})
    found = pull(spec.model_copy(update={"data": data}), workspace)
    assert (found.revision, found.content_hash) == (made.commit, made.content_hash)
    return read_table(workspace.path(found.folder) / str(found.table))


def test_rows_are_added_below_the_former_ones(workspace: Workspace) -> None:
    made = revise(workspace, new_ones(5)[::-1])
    table = pulled(workspace, made)
    assert made.rows == 5
    assert list(table.columns) == ["x", "y", "label", MARKER]
    assert len(table) == 45
    assert set(table[MARKER][:40]) == {BASE}
    assert table["x"][40:].tolist() == [1000.5, 1001.5, 1002.5, 1003.5, 1004.5]
    assert table[MARKER][40] == f"{1000:032x}"


def test_what_was_there_keeps_its_spelling(workspace: Workspace) -> None:
    made = revise(workspace, new_ones(1))
    spec = make_spec()
    data = spec.data.model_copy(update={"revision": made.commit})
    found = pull(spec.model_copy(update={"data": data}), workspace)
    lines = (workspace.path(found.folder) / "table.csv").read_text().splitlines()
    former = (workspace.settings.project / "data/numbers/table.csv").read_text().splitlines()
    assert lines[0] == former[0] + f",{MARKER}"
    assert lines[1:-1] == [f"{line},{BASE}" for line in former[1:]]
    assert lines[-1] == f"1000.5,1000,a,{1000:032x}"


def test_the_work_tree_the_index_and_the_branches_of_the_user_are_not_touched(
    workspace: Workspace,
) -> None:
    project = workspace.settings.project
    (project / "unfinished.txt").write_text("mine")
    git(project, "add", "unfinished.txt")
    before = _state(project)
    made = revise(workspace, new_ones(5))
    assert _state(project) == before
    assert git(project, "rev-parse", BRANCH) == made.commit
    assert git(project, "rev-parse", f"{BRANCH}^") == git(project, "rev-parse", "main")
    assert git(project, "diff", "--name-only", "main", BRANCH) == "data/numbers.dvc"


def _state(project: Path) -> tuple[str, ...]:
    own = (".dvc/", ".git/")
    files = [path for path in project.rglob("*") if path.is_file()]
    return (
        git(project, "status", "--porcelain"),
        git(project, "ls-files", "--stage"),
        git(project, "rev-parse", "HEAD", "main"),
        *(
            f"{path} {path.stat().st_mtime_ns}"
            for path in sorted(files)
            if not any(folder in str(path) for folder in own)
        ),
    )


def move_remote(project: Path, store: Path) -> None:
    """Let the DVC remote lie elsewhere; the fixture's is inside of the repository."""
    if (project / "store").exists():
        shutil.move(project / "store", store)
    config = project / ".dvc" / "config"
    config.write_text(config.read_text().replace("../store", str(store)))
    commit(project, "remote moved")


def test_git_and_dvc_find_nothing_wrong_with_it(workspace: Workspace, tmp_path: Path) -> None:
    """A colleague clones, checks the branch out and pulls with the plain commands."""
    from dvc.repo import Repo

    project = workspace.settings.project
    move_remote(project, tmp_path / "store")
    made = revise(workspace, new_ones(5))
    assert made.pushed == "pushed to store"
    shutil.rmtree(project / ".dvc" / "cache")
    git(project, "fsck", "--strict")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", BRANCH, str(project), str(clone))
    with Repo(str(clone)) as repo:
        repo.pull()
        assert repo.status() == {}
    assert len(pd.read_csv(clone / "data/numbers/table.csv")) == 45
    assert (clone / "data/numbers/more/notes.txt").read_text() == "notes\n"


def test_the_message_says_why_and_on_what_it_stands(workspace: Workspace) -> None:
    revise(workspace, new_ones(5))
    text = git(workspace.settings.project, "log", "-1", "--format=%an%n%B", BRANCH)
    for line in (
        "Modelyard",
        "Data for test: 5 labelled predictions added",
        "Modelyard-Alert: a1",
        "Modelyard-Retraining: r1",
        "Modelyard-Rows: 5",
    ):
        assert line in text.splitlines()


def test_only_what_is_new_is_added_to_an_earlier_revision(workspace: Workspace) -> None:
    first = revise(workspace, new_ones(5))
    second = revise(workspace, new_ones(8), retraining="r2")
    assert second.rows == 3
    assert len(pulled(workspace, second)) == 48
    assert git(workspace.settings.project, "rev-parse", f"{BRANCH}^") == first.commit


def test_the_same_retraining_finds_its_revision_again(workspace: Workspace) -> None:
    first = revise(workspace, new_ones(5))
    again = revise(workspace, new_ones(9))
    assert (again.commit, again.content_hash, again.rows) == (
        first.commit,
        first.content_hash,
        5,
    )


def test_rows_are_added_to_the_specs_data_again_when_that_changed(workspace: Workspace) -> None:
    project = workspace.settings.project
    first = revise(workspace, new_ones(5))
    table = project / "data/numbers/table.csv"
    table.write_text(table.read_text() + "99,9801,b\n")
    track(project, "data/numbers")
    head = commit(project, "a row more")
    second = revise(workspace, new_ones(6), retraining="r2")
    assert second.rows == 6
    assert len(pulled(workspace, second)) == 47
    parents = git(project, "rev-list", "--parents", "-1", BRANCH).split()[1:]
    assert parents == [first.commit, head]


def test_equal_inputs_are_added_once_with_the_newest_label(workspace: Workspace) -> None:
    newest_first = [
        predicted(3, 7.5, 1.0, "b"),
        predicted(2, 7.5, 1.0, "a"),
        predicted(1, 3.0, 9.0, "b"),  # row 3 of the table
    ]
    made = revise(workspace, newest_first)
    table = pulled(workspace, made)
    assert made.rows == 1
    assert table.iloc[-1][["x", "y", "label"]].tolist() == [7.5, 1.0, "b"]


def test_equal_inputs_are_added_where_the_spec_allows_them(workspace: Workspace) -> None:
    spec = make_spec(checks=[{"leakage": "allow"}])
    found = [predicted(n, 3.0, 9.0) for n in range(4)]
    assert revise(workspace, found, spec).rows == 4
    assert revise(workspace, found, spec, "r2").rows == 0


def test_too_few_are_refused_with_what_was_left_out(workspace: Workspace) -> None:
    unlabelled = predicted(9, 1.5, 1.5, truth={})
    with (
        adding(workspace, [*new_ones(2), unlabelled, predicted(1, 3.0, 9.0)]) as new,
        pytest.raises(TooFewRows) as refused,
    ):
        new.require(3)
    for words in (
        "2 new labelled predictions",
        "waits for 3",
        "1 without a label for each output",
        "1 with inputs that are in the table already",
    ):
        assert words in str(refused.value)


def test_nothing_is_made_where_too_few_are_refused(workspace: Workspace) -> None:
    with adding(workspace, new_ones(1)) as new, pytest.raises(TooFewRows):
        new.require(2)
    with Branch(workspace.settings.project, BRANCH) as branch:
        assert branch.tip() is None


def test_a_single_file_is_revised_too(workspace: Workspace) -> None:
    spec = make_spec("data/single.csv", table=None)
    made = revise(workspace, new_ones(5), spec)
    assert len(pulled(workspace, made, spec)) == 45
    pointer = git(workspace.settings.project, "show", f"{BRANCH}:data/single.csv.dvc")
    assert made.content_hash in pointer
    assert "nfiles" not in pointer


def test_parquet_keeps_the_types_of_its_columns(project: Path, tmp_path: Path) -> None:
    columns = {"x": [1, 2, 3], "y": [0.5, 1.5, None], "label": [True, False, True]}
    pd.DataFrame(columns).to_parquet(project / "data" / "typed.parquet")
    track(project, "data/typed.parquet")
    commit(project, "typed")
    workspace = workspace_of(project, tmp_path / "home")
    spec = make_spec("data/typed.parquet", table=None, outputs=(("label", "binary"),))
    found = [predicted(1, 7.0, 0.25, "false"), predicted(2, 8.0, 4.0, "true")]
    table = pulled(workspace, revise(workspace, found, spec), spec)
    assert [str(kind) for kind in table.dtypes[:3]] == ["int64", "float64", "bool"]
    assert table["x"].tolist() == [1, 2, 3, 8, 7]
    assert table["label"].tolist()[3:] == [True, False]


def test_a_value_that_does_not_fit_the_parquet_column_is_refused(
    project: Path, tmp_path: Path
) -> None:
    pd.DataFrame({"x": [1, 2], "y": [1.0, 2.0], "label": ["a", "b"]}).to_parquet(
        project / "data" / "typed.parquet"
    )
    track(project, "data/typed.parquet")
    commit(project, "typed")
    spec = make_spec("data/typed.parquet", table=None)
    with pytest.raises(DataError, match="column x is int64"):
        revise(workspace_of(project, tmp_path / "home"), [predicted(1, 7.5, 0.25)], spec)


def test_words_are_spelt_as_the_table_spells_them(project: Path, tmp_path: Path) -> None:
    """The log says `true` of what the table calls `yes`."""
    (project / "data" / "words.csv").write_text("x,grade,label\n1,07,yes\n2,08,no\n")
    track(project, "data/words.csv")
    commit(project, "words")
    spec = make_spec(
        "data/words.csv",
        table=None,
        inputs=(("x", "number"), ("grade", "category")),
        outputs=(("label", "binary"),),
        checks=[{"column": "grade", "type": "text"}],
    )
    one = predicted(1, 0, 0, "true", inputs={"x": 5.0, "grade": "07"})
    workspace = workspace_of(project, tmp_path / "home")
    made = revise(workspace, [one], spec)
    content = pulled(workspace, made, spec)
    assert content["label"].tolist() == ["yes", "no", "yes"]
    assert content["x"].tolist() == [1, 2, 5]


def test_images_are_added_beside_the_table(project: Path, tmp_path: Path) -> None:
    folder = project / "data" / "pictures"
    names = write_images(folder, 6)
    rows = "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(names))
    (folder / "labels.csv").write_text(f"image,label\n{rows}")
    track(project, "data/pictures")
    commit(project, "pictures")
    spec = make_spec("data/pictures", table="labels.csv", inputs=(("image", "image"),))
    workspace = workspace_of(project, tmp_path / "home")
    kept = workspace.home / "inputs" / "test"
    write_images(kept, 8)
    found = [
        predicted(n, 0, 0, raw={"image": f"inputs/test/images/{n:03d}.png"}) for n in (7, 6, 5)
    ]
    lost = predicted(9, 0, 0, raw={"image": "inputs/test/images/gone.png"})
    outside = predicted(10, 0, 0, raw={"image": "../project/.dvc/config"})
    never = predicted(11, 0, 0, raw={"image": None})
    with adding(workspace, [*found, lost, outside, never], spec) as new:
        assert new.added.left_out == Counter(
            {
                "whose inputs were not kept (monitor.keep_inputs)": 3,
                "with inputs that are in the table already": 1,
            }
        )
        made = new.record({}, "r1")
    table = pulled(workspace, made, spec)
    assert table["image"].tolist()[6:] == ["labelled/006.png", "labelled/007.png"]
    data = spec.data.model_copy(update={"revision": made.commit})
    found_again = pull(spec.model_copy(update={"data": data}), workspace)
    copied = workspace.path(found_again.folder) / "labelled" / "006.png"
    assert copied.read_bytes() == (kept / "images" / "006.png").read_bytes()


def test_inputs_that_the_log_only_measured_cannot_be_added(workspace: Workspace) -> None:
    spec = make_spec(inputs=(("x", "text"), ("y", "number")))
    found = [predicted(1, 1, 2, inputs={"x.length": 3.0, "x.words": 1.0, "y": 2.0})]
    with adding(workspace, found, spec) as new, pytest.raises(TooFewRows, match="keep_inputs"):
        new.require(1)


def test_a_renamed_column_gets_its_value_under_the_former_name(workspace: Workspace) -> None:
    spec = make_spec(
        inputs=(("width", "number"), ("y", "number")),
        transform=[{"kind": "rename", "columns": {"x": "width"}}],
    )
    found = [predicted(1, 0, 0, inputs={"width": 4.25, "y": 1.0})]
    table = pulled(workspace, revise(workspace, found, spec), spec)
    assert table["x"].tolist()[-1] == 4.25


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param({"path": "data/numbers/table.csv", "table": None}, "no .dvc file of its own", id="part"),
        pytest.param({"path": "plain.csv", "table": None}, "not tracked by DVC", id="plain"),
        pytest.param(
            {"inputs": (("page", "number"),), "transform": [{"kind": "extract_tiff", "images": "i.tif"}]},
            "a transform makes the column page",
            id="made",
        ),
        pytest.param({"outputs": (("label", "image"),)}, "gets no labels", id="mask"),
    ],
)  # fmt: skip
def test_data_that_no_row_can_be_added_to_is_refused(
    workspace: Workspace, spec: dict[str, object], words: str
) -> None:
    (workspace.settings.project / "plain.csv").write_text("x,y,label\n1,1,a\n")
    with pytest.raises(DataError, match=words), adding(workspace, [], make_spec(**spec)):
        pass


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"transform": [{"kind": "drop_missing"}]}, id="transform"),
        pytest.param({"checks": [{"column": "y", "not_null": True}]}, id="check"),
    ],
)
def test_a_column_that_must_be_there_and_that_no_prediction_has_is_refused(
    workspace: Workspace, data: dict[str, object]
) -> None:
    """The added rows would be dropped without a word, or refused when the run has begun."""
    spec = make_spec(inputs=(("x", "number"),), **data)
    with pytest.raises(DataError, match="they have no y"), adding(workspace, [], spec):
        pass


def test_without_git_it_is_refused(plain: Path, tmp_path: Path) -> None:
    workspace = Workspace(Settings(project=plain, MODELYARD_HOME=tmp_path / "home"))
    with pytest.raises(DataError, match="git"), adding(workspace, []):
        pass


def test_a_remote_inside_the_repository_is_left_alone(workspace: Workspace) -> None:
    store = workspace.settings.project / "store"
    before = sorted(store.rglob("*"))
    made = revise(workspace, new_ones(2))
    assert made.pushed == "the remote store is part of the repository"
    assert sorted(store.rglob("*")) == before


def test_a_remote_that_does_not_answer_is_said_and_the_revision_is_kept(
    project: Path, tmp_path: Path
) -> None:
    move_remote(project, tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_text("no folder")
    workspace = workspace_of(project, tmp_path / "home")
    made = revise(workspace, new_ones(2))
    assert made.pushed.startswith("not pushed: DVC's remote store")
    assert len(pulled(workspace, made)) == 42


def test_somebody_who_moves_the_branch_meanwhile_is_not_overwritten(workspace: Workspace) -> None:
    project = workspace.settings.project
    with adding(workspace, new_ones(2)) as new:
        git(project, "branch", BRANCH)
        with pytest.raises(DataError, match="moved by somebody else"):
            new.record({}, "r1")
    assert git(project, "rev-parse", BRANCH) == git(project, "rev-parse", "main")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="random"),
        pytest.param({"stratify": "label"}, id="stratified"),
        pytest.param({"column": "part"}, id="column"),
        pytest.param({"group": "who"}, id="group"),
        pytest.param({"blocks_of": "day"}, id="blocks"),
    ],
)
def test_no_row_ever_changes_its_split(
    project: Path, tmp_path: Path, how: dict[str, object]
) -> None:
    parts = ("train", "validation", "test")
    lines = [f"{n},{n * n},{'ab'[n % 2]},{parts[n % 3]},p{n // 4},{n // 5}" for n in range(40)]
    text = "\n".join(["x,y,label,part,who,day", *lines]) + "\n"
    (project / "data" / "ways.csv").write_text(text)
    track(project, "data/ways.csv")
    commit(project, "ways")
    workspace = workspace_of(project, tmp_path / "home")
    spec = make_spec("data/ways.csv", table=None, split=how)
    before = read_table(project / "data" / "ways.csv")
    splits = [dict(zip(before["x"], assign_rows(before, spec.data.split), strict=True))]
    for number, count in enumerate((60, 150)):
        made = revise(workspace, new_ones(count), spec, f"r{number}")
        table = pulled(workspace, made, spec)
        splits.append(dict(zip(table["x"], assign_rows(table, spec.data.split), strict=True)))
    first, second, third = splits
    assert second.items() >= first.items()
    assert third.items() >= second.items()
    assert len(third) == 190
    if "blocks_of" not in how:  # the new ones are all of one hour
        shares = Counter(third[x] for x in third if x >= 1000)
        assert 0.55 < shares[0] / 150 < 0.85
        assert shares[2] >= 10


def test_git_needs_no_name_of_a_person(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    made = revise(workspace, new_ones(2))
    monkeypatch.undo()
    shown = subprocess.run(
        ["git", "log", "-1", "--format=%ae", made.commit],  # noqa: S607
        cwd=workspace.settings.project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "modelyard@localhost"


def test_a_row_that_breaks_a_check_is_left_out_and_told(workspace: Workspace) -> None:
    checks = [{"column": "x", "max": 1002}, {"column": "label", "one_of": ["a", "b"]}]
    spec = make_spec()
    section = spec.data.model_validate({**spec.data.model_dump(by_alias=True), "checks": checks})
    strict = spec.model_copy(update={"data": section})
    with adding(workspace, new_ones(5)[::-1], strict) as new:
        assert len(new) == 2
        assert new.added.left_out["that break a check"] == 3
        made = new.record({}, "r1")
    table = pulled(workspace, made, strict)
    assert table["x"][40:].tolist() == [1000.5, 1001.5]


def test_a_branch_that_is_checked_out_is_not_moved_under_its_user(workspace: Workspace) -> None:
    revise(workspace, new_ones(2))
    project = workspace.settings.project
    git(project, "switch", "-q", BRANCH)
    tip = git(project, "rev-parse", BRANCH)
    with pytest.raises(DataError, match="is checked out"):
        revise(workspace, new_ones(2, 2000), retraining="r2")
    assert git(project, "rev-parse", BRANCH) == tip


def test_a_cell_may_hold_a_whole_series(tmp_path: Path) -> None:
    long = " ".join(["1.5"] * 50_000)
    source, written = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text(f"series,label\n{long},a\n")
    append_rows(source, [{"series": [1, 2], "label": "b", MARKER: "p1"}], written)
    assert written.read_text().splitlines()[2] == "1 2,b,p1"
