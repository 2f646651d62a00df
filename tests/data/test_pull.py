"""Stage `pull`: any revision, tracked or not, into a folder that equal content shares."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from modelyard.artifacts import PulledData
from modelyard.data.pull import pull
from modelyard.errors import DataError
from modelyard.workspace import Workspace
from tests.data.conftest import (
    TABLE,
    commit,
    git,
    make_spec,
    track,
    workspace_of,
)


def text_of(pulled: PulledData, workspace: Workspace) -> str:
    assert pulled.table is not None
    return (workspace.path(pulled.folder) / pulled.table).read_text(encoding="utf-8")


def refusal(workspace: Workspace, **data: object) -> str:
    with pytest.raises(DataError) as caught:
        pull(make_spec(**data), workspace)  # type: ignore[arg-type]
    return str(caught.value)


class TestTracked:
    def test_a_folder_arrives_with_all_its_files(self, workspace: Workspace) -> None:
        pulled = pull(make_spec(), workspace)
        folder = workspace.path(pulled.folder)
        assert text_of(pulled, workspace) == TABLE
        assert (folder / "more" / "notes.txt").read_text(encoding="utf-8") == "notes\n"
        assert (pulled.files, pulled.size) == (2, len(TABLE) + 6)
        assert pulled.revision == "work tree"

    def test_the_hash_is_the_one_in_the_dvc_file(self, workspace: Workspace) -> None:
        pulled = pull(make_spec(), workspace)
        pointer = workspace.settings.project / "data" / "numbers.dvc"
        assert f"md5: {pulled.content_hash}\n" in pointer.read_text(encoding="utf-8")

    def test_a_fresh_clone_is_read_from_the_remote(self, clone: Path, tmp_path: Path) -> None:
        workspace = workspace_of(clone, tmp_path / "home")
        assert text_of(pull(make_spec(), workspace), workspace) == TABLE
        assert not (clone / "data" / "numbers").exists()

    def test_the_cache_is_enough_without_the_remote(
        self, project: Path, workspace: Workspace
    ) -> None:
        shutil.rmtree(project / "store")
        shutil.rmtree(project / "data" / "numbers")
        assert text_of(pull(make_spec(), workspace), workspace) == TABLE

    def test_the_second_pull_copies_nothing(self, workspace: Workspace) -> None:
        first = pull(make_spec(), workspace)
        before = (workspace.path(first.folder) / "table.csv").stat()
        assert pull(make_spec(), workspace) == first
        after = (workspace.path(first.folder) / "table.csv").stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

    def test_a_resolved_hash_needs_no_remote_once_pulled(
        self, project: Path, workspace: Workspace
    ) -> None:
        first = pull(make_spec(), workspace)
        shutil.rmtree(project / "store")
        shutil.rmtree(project / ".dvc" / "cache")
        assert pull(make_spec(), workspace) == first

    def test_a_single_file_is_its_own_table(self, workspace: Workspace) -> None:
        pulled = pull(make_spec("data/single.csv", None), workspace)
        assert pulled.table == "single.csv"
        assert text_of(pulled, workspace) == TABLE

    def test_the_copy_is_not_a_link_into_the_cache(
        self, project: Path, workspace: Workspace
    ) -> None:
        with (project / ".dvc" / "config").open("a", encoding="utf-8") as config:
            config.write("[cache]\n    type = symlink\n")
        pulled = pull(make_spec(), workspace)
        assert not (workspace.path(pulled.folder) / "table.csv").is_symlink()

    def test_changes_in_the_work_tree_are_not_used_and_a_warning_says_so(
        self, project: Path, workspace: Workspace, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = pull(make_spec(), workspace)
        (project / "data" / "numbers" / "table.csv").write_text("changed\n", encoding="utf-8")
        with caplog.at_level(logging.WARNING, "modelyard.data"):
            pulled = pull(make_spec(), workspace)
        assert pulled == before
        assert "data/numbers was changed since `dvc add`" in caplog.text

    def test_an_unchanged_work_tree_gives_no_warning(
        self, workspace: Workspace, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "modelyard.data"):
            pull(make_spec(), workspace)
        assert caplog.text == ""

    def test_a_broken_dvc_file_elsewhere_does_not_matter(
        self, project: Path, workspace: Workspace
    ) -> None:
        (project / "other.dvc").write_text("outs: [", encoding="utf-8")
        assert text_of(pull(make_spec(), workspace), workspace) == TABLE


class TestParts:
    def test_a_file_inside_a_tracked_folder(self, workspace: Workspace) -> None:
        pulled = pull(make_spec("data/numbers/table.csv", None), workspace)
        assert (pulled.table, pulled.files) == ("table.csv", 1)
        assert text_of(pulled, workspace) == TABLE

    def test_a_file_has_the_same_hash_alone_and_inside_a_folder(self, workspace: Workspace) -> None:
        inside = pull(make_spec("data/numbers/table.csv", None), workspace)
        alone = pull(make_spec("data/single.csv", None), workspace)
        assert inside.content_hash == alone.content_hash

    def test_a_folder_inside_a_tracked_folder_has_the_hash_that_dvc_would_give_it(
        self, project: Path, workspace: Workspace
    ) -> None:
        shutil.copytree(project / "data" / "numbers" / "more", project / "data" / "copy")
        track(project, "data/copy")
        inside = pull(make_spec("data/numbers/more", "notes.txt"), workspace)
        alone = pull(make_spec("data/copy", "notes.txt"), workspace)
        assert inside.content_hash == alone.content_hash
        assert inside.folder == alone.folder

    def test_a_folder_of_several_data_sets(self, workspace: Workspace) -> None:
        pulled = pull(make_spec("data", "numbers/table.csv"), workspace)
        assert pulled.files == 3
        assert text_of(pulled, workspace) == TABLE

    def test_a_part_that_is_not_there_is_refused(self, workspace: Workspace) -> None:
        text = refusal(workspace, path="data/numbers/none.csv", table=None)
        assert text.startswith("data.path: data/numbers has no data/numbers/none.csv at work tree")


class TestRevisions:
    @pytest.fixture
    def second(self, project: Path) -> str:
        """A second version of the folder, committed; returns the commit."""
        (project / "data" / "numbers" / "table.csv").write_text("x,y,label\n1,2,a\n", "utf-8")
        track(project, "data/numbers")
        return commit(project, "second version")

    @pytest.mark.usefixtures("second")
    def test_a_tag_gives_the_data_of_then(self, project: Path, workspace: Workspace) -> None:
        pulled = pull(make_spec(revision="v1"), workspace)
        assert text_of(pulled, workspace) == TABLE
        assert pulled.revision == git(project, "rev-parse", "v1")

    @pytest.mark.parametrize("spelling", ["main", "HEAD", "{commit}", "{short}", "v1~0"])
    def test_any_spelling_of_a_revision_resolves_to_the_commit(
        self, project: Path, workspace: Workspace, second: str, spelling: str
    ) -> None:
        revision = spelling.format(commit=second, short=second[:8])
        pulled = pull(make_spec(revision=revision), workspace)
        assert pulled.revision == git(project, "rev-parse", revision)

    @pytest.mark.usefixtures("second")
    def test_the_work_tree_is_the_newest_dvc_file(self, workspace: Workspace) -> None:
        assert text_of(pull(make_spec(), workspace), workspace) == "x,y,label\n1,2,a\n"

    @pytest.mark.usefixtures("second")
    def test_revisions_with_equal_data_share_a_folder(
        self, project: Path, workspace: Workspace
    ) -> None:
        (project / "README.md").write_text("hello\n", encoding="utf-8")
        commit(project, "no change of the data")
        before = pull(make_spec(revision="HEAD~1"), workspace)
        after = pull(make_spec(revision="HEAD"), workspace)
        assert (before.key, before.folder) == (after.key, after.folder)
        assert before.revision != after.revision

    @pytest.mark.usefixtures("second")
    def test_an_old_revision_needs_no_checkout_and_no_cache(
        self, project: Path, workspace: Workspace
    ) -> None:
        shutil.rmtree(project / ".dvc" / "cache")
        assert text_of(pull(make_spec(revision="v1"), workspace), workspace) == TABLE
        assert git(project, "status", "--porcelain") == ""

    def test_a_remote_that_moved_is_read_where_it_is_now(
        self, project: Path, workspace: Workspace
    ) -> None:
        shutil.rmtree(project / ".dvc" / "cache")
        (project / "store").rename(project / "moved")
        config = project / ".dvc" / "config"
        config.write_text(config.read_text("utf-8").replace("../store", "../moved"), "utf-8")
        assert text_of(pull(make_spec(revision="v1"), workspace), workspace) == TABLE

    def test_an_unknown_revision_is_refused_with_the_nearest(self, workspace: Workspace) -> None:
        text = refusal(workspace, revision="v11")
        assert text == "data.revision: git knows no revision v11 (did you mean v1?)"

    def test_a_path_that_came_later_is_not_in_the_old_revision(
        self, project: Path, workspace: Workspace
    ) -> None:
        (project / "data" / "late.csv").write_text(TABLE, encoding="utf-8")
        track(project, "data/late.csv")
        commit(project, "later")
        text = refusal(workspace, path="data/late.csv", table=None, revision="v1")
        assert text.startswith("data.path: neither DVC nor git tracks data/late.csv at ")

    def test_a_file_that_only_git_tracks_is_read_from_the_commit(
        self, project: Path, workspace: Workspace
    ) -> None:
        small = project / "small" / "table.csv"
        small.parent.mkdir()
        small.write_text(TABLE, encoding="utf-8")
        commit(project, "small table")
        small.write_text("x\n1\n", encoding="utf-8")
        pulled = pull(make_spec("small", revision="HEAD"), workspace)
        single = pull(make_spec("small/table.csv", None, revision="HEAD"), workspace)
        assert text_of(pulled, workspace) == text_of(single, workspace) == TABLE


class TestUntracked:
    def test_a_plain_folder_works_and_is_said_to_have_no_version(
        self, project: Path, workspace: Workspace, caplog: pytest.LogCaptureFixture
    ) -> None:
        (project / "data" / "own").mkdir()
        (project / "data" / "own" / "table.csv").write_text(TABLE, encoding="utf-8")
        with caplog.at_level(logging.WARNING, "modelyard.data"):
            pulled = pull(make_spec("data/own"), workspace)
        assert text_of(pulled, workspace) == TABLE
        assert pulled.content_hash.startswith("sha256:")
        assert "data/own has no version: `dvc add data/own` would give it one" in caplog.text

    def test_without_git_and_dvc_files_and_folders_work(self, plain: Path, tmp_path: Path) -> None:
        workspace = workspace_of(plain, tmp_path / "home")
        folder = pull(make_spec(), workspace)
        single = pull(make_spec("data/single.csv", None), workspace)
        assert text_of(folder, workspace) == text_of(single, workspace) == TABLE

    def test_other_content_is_another_version(self, plain: Path, tmp_path: Path) -> None:
        workspace = workspace_of(plain, tmp_path / "home")
        before = pull(make_spec(), workspace)
        (plain / "data" / "numbers" / "more" / "notes.txt").write_text("new\n", encoding="utf-8")
        after = pull(make_spec(), workspace)
        assert before.key != after.key
        assert text_of(before, workspace) == text_of(after, workspace)

    def test_dvc_without_git_works(self, plain: Path, tmp_path: Path) -> None:
        from dvc.repo import Repo

        Repo.init(str(plain), no_scm=True).close()
        track(plain, "data/numbers", push=False)
        shutil.rmtree(plain / "data" / "numbers")
        workspace = workspace_of(plain, tmp_path / "home")
        pulled = pull(make_spec(), workspace)
        assert pulled.content_hash.endswith(".dir")
        assert text_of(pulled, workspace) == TABLE

    def test_without_git_a_revision_is_refused(self, plain: Path, tmp_path: Path) -> None:
        text = refusal(workspace_of(plain, tmp_path / "home"), revision="v1")
        assert text.startswith("data.revision: v1 cannot be looked up")
        assert "is not in a git repository" in text

    def test_a_folder_that_only_a_revision_of_git_has_is_no_plain_folder(
        self, workspace: Workspace
    ) -> None:
        assert "did you mean data/numbers?" in refusal(workspace, path="data/number")

    def test_an_empty_folder_is_refused(self, project: Path, workspace: Workspace) -> None:
        (project / "data" / "empty").mkdir()
        assert refusal(workspace, path="data/empty").endswith("the folder data/empty is empty")

    @pytest.mark.parametrize("path", ["../elsewhere", "/etc", "."])
    def test_a_path_outside_of_the_project_is_refused(
        self, workspace: Workspace, path: str
    ) -> None:
        assert f"data.path: {path} is not below the project" in refusal(workspace, path=path)


class TestPlaces:
    def test_a_dvc_repository_below_gits_root(self, tmp_path: Path) -> None:
        from dvc.repo import Repo

        mono = tmp_path / "mono"
        project = mono / "models"
        project.mkdir(parents=True)
        git(mono, "init", "--quiet", "--initial-branch=main")
        Repo.init(str(project), subdir=True).close()
        (project / "data" / "numbers").mkdir(parents=True)
        (project / "data" / "numbers" / "table.csv").write_text(TABLE, encoding="utf-8")
        track(project, "data/numbers", push=False)
        commit(mono, "data")
        workspace = workspace_of(project, tmp_path / "home")
        for revision in (None, "HEAD"):
            pulled = pull(make_spec(revision=revision), workspace)
            assert text_of(pulled, workspace) == TABLE

    def test_a_project_below_the_root_of_dvc(self, project: Path, tmp_path: Path) -> None:
        inner = project / "team"
        (inner / "data").mkdir(parents=True)
        (inner / "data" / "own.csv").write_text(TABLE, encoding="utf-8")
        track(project, "team/data/own.csv")
        commit(project, "team data")
        workspace = workspace_of(inner, tmp_path / "home")
        for revision in (None, "HEAD"):
            pulled = pull(make_spec("data/own.csv", None, revision=revision), workspace)
            assert text_of(pulled, workspace) == TABLE


class TestRefusals:
    def test_data_that_no_store_has_names_the_stores(
        self, project: Path, workspace: Workspace
    ) -> None:
        shutil.rmtree(project / ".dvc" / "cache")
        shutil.rmtree(project / "store")
        text = refusal(workspace)
        assert "is neither in DVC's cache nor in DVC's remote store" in text
        assert "`dvc push` it from where it was added" in text

    def test_without_a_remote_the_hint_says_so(self, project: Path, workspace: Workspace) -> None:
        shutil.rmtree(project / ".dvc" / "cache")
        (project / ".dvc" / "config").write_text("[core]\n    analytics = false\n", "utf-8")
        assert "this repository has no DVC remote" in refusal(workspace)

    def test_a_file_missing_from_a_folder_is_named(
        self, project: Path, workspace: Workspace
    ) -> None:
        for store in (project / ".dvc" / "cache", project / "store"):
            for path in store.rglob("*"):
                if path.is_file() and path.read_bytes() == b"notes\n":
                    path.unlink()
        assert refusal(workspace).startswith("data.path: more/notes.txt (")

    def test_a_damaged_file_is_refused_and_not_kept(
        self, project: Path, workspace: Workspace
    ) -> None:
        intact = {}
        for store in (project / ".dvc" / "cache", project / "store"):
            for path in store.rglob("*"):
                if path.is_file() and path.read_bytes() == b"notes\n":
                    intact[path] = path.read_bytes()
                    path.chmod(0o644)
                    path.write_bytes(b"other\n")
        assert "more/notes.txt is damaged" in refusal(workspace)
        for path, content in intact.items():
            path.write_bytes(content)
        assert pull(make_spec(), workspace).files == 2

    def test_a_remote_that_is_not_configured_is_named(
        self, project: Path, workspace: Workspace
    ) -> None:
        config = project / ".dvc" / "config"
        config.write_text(
            config.read_text("utf-8").replace("remote = store", "remote = shop"), "utf-8"
        )
        assert refusal(workspace).startswith("DVC's remote shop: ")

    def test_a_missing_table_is_refused_with_the_nearest(self, workspace: Workspace) -> None:
        text = refusal(workspace, table="tabel.csv")
        assert text == "data.table: data/numbers has no tabel.csv (did you mean table.csv?)"

    def test_a_folder_needs_a_table(self, workspace: Workspace) -> None:
        text = refusal(workspace, table=None)
        assert "say which of its files is the table (tables there: table.csv)" in text

    def test_a_table_outside_of_the_data_is_refused(self, workspace: Workspace) -> None:
        assert "must be a path inside data/numbers" in refusal(workspace, table="../single.csv")

    def test_a_foreign_error_stays_behind_as_the_cause(
        self, project: Path, workspace: Workspace
    ) -> None:
        (project / ".dvc" / "config").write_text("[core\n", encoding="utf-8")
        with pytest.raises(DataError) as caught:
            pull(make_spec(), workspace)
        assert caught.value.__cause__ is not None


def test_a_tiff_data_set_needs_no_table(project: Path, workspace: Workspace) -> None:
    (project / "data" / "stack").mkdir()
    (project / "data" / "stack" / "cells.tif").write_bytes(b"not looked at here")
    step = {"kind": "extract_tiff", "images": "cells.tif"}
    assert pull(make_spec("data/stack", None, transform=[step]), workspace).table is None
    (project / "data" / "cells.tif").write_bytes(b"not looked at here")
    assert pull(make_spec("data/cells.tif", None, transform=[step]), workspace).table is None


def test_the_log_says_what_was_pulled(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "modelyard.data"):
        pulled = pull(make_spec(revision="v1"), workspace)
    assert f"data/numbers at {pulled.revision[:12]}: 2 files" in caplog.text
