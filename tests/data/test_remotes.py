"""Several processes at once, and remotes that are not a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.artifacts import PulledData
from modelyard.data.pull import pull
from modelyard.errors import DataError
from tests.data.conftest import TABLE, commit, git, make_spec, track, workspace_of

PULLER = Path(__file__).with_name("puller.py")
FILES = 300


def pull_at_once(project: Path, homes: list[Path], revisions: list[str]) -> list[PulledData]:
    """Pull in as many processes as there are homes, all from the same moment on."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(PULLER), str(project), str(home), revision],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for home, revision in zip(homes, revisions, strict=True)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        answers.append(PulledData.model_validate_json(output.splitlines()[-1]))
    return answers


@pytest.fixture
def many(project: Path) -> Path:
    """A data set of many files, pushed and committed, with nothing in the cache."""
    folder = project / "data" / "numbers" / "many"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"{number}\n" * 50, encoding="utf-8")
    track(project, "data/numbers")
    commit(project, "many files")
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project / "data" / "numbers")
    return project


def test_four_processes_into_one_home_make_one_folder(many: Path, tmp_path: Path) -> None:
    answers = pull_at_once(many, [tmp_path / "home"] * 4, ["", "HEAD", "", "main"])
    assert len({answer.folder for answer in answers}) == 1
    assert {answer.files for answer in answers} == {FILES + 2}
    folders = [path for path in (tmp_path / "home/stages/pull").iterdir() if path.is_dir()]
    assert len(folders) == 1


def test_four_processes_into_four_homes_do_not_disturb_each_other(
    many: Path, tmp_path: Path
) -> None:
    homes = [tmp_path / f"home{number}" for number in range(4)]
    answers = pull_at_once(many, homes, ["", "HEAD", "v1", ""])
    assert [answer.files for answer in answers] == [FILES + 2, FILES + 2, 2, FILES + 2]
    for home, answer in zip(homes, answers, strict=True):
        assert (home / answer.folder / "table.csv").read_text(encoding="utf-8") == TABLE
    assert git(many, "status", "--porcelain") == ""


class TestS3:
    @pytest.fixture
    def on_s3(self, project: Path, s3: str) -> Path:
        """The project with its data in S3 only."""
        (project / ".dvc" / "config").write_text(
            "[core]\n    analytics = false\n    remote = cloud\n"
            f"['remote \"cloud\"']\n    url = s3://bucket/dvc\n    endpointurl = {s3}\n",
            encoding="utf-8",
        )
        track(project, "data/numbers", "data/single.csv")
        commit(project, "to S3")
        shutil.rmtree(project / ".dvc" / "cache")
        shutil.rmtree(project / "store")
        shutil.rmtree(project / "data" / "numbers")
        return project

    def test_a_work_tree_and_a_revision_are_read_from_s3(self, on_s3: Path, tmp_path: Path) -> None:
        workspace = workspace_of(on_s3, tmp_path / "home")
        for revision in (None, "v1"):
            pulled = pull(make_spec(revision=revision), workspace)
            table = workspace.path(pulled.folder) / "table.csv"
            assert table.read_text(encoding="utf-8") == TABLE
        single = pull(make_spec("data/single.csv", None), workspace)
        assert single.files == 1

    def test_what_s3_does_not_have_is_refused(self, on_s3: Path, tmp_path: Path, s3: str) -> None:
        import boto3

        client = boto3.client("s3", endpoint_url=s3)
        for entry in client.list_objects_v2(Bucket="bucket")["Contents"]:
            client.delete_object(Bucket="bucket", Key=entry["Key"])
        with pytest.raises(DataError, match="neither in DVC's cache nor in DVC's remote cloud"):
            pull(make_spec(), workspace_of(on_s3, tmp_path / "home"))

    def test_missing_credentials_are_a_refusal_not_a_traceback(
        self, on_s3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        with pytest.raises(DataError, match=r"data.path: data/numbers .*credentials"):
            pull(make_spec(), workspace_of(on_s3, tmp_path / "home"))
