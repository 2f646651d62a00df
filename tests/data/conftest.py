"""Real git and DVC repositories, made once and copied for each test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

ROOT = Path(__file__).parents[2]
CONFIG = """\
[core]
    analytics = false
    check_update = false
    remote = store
['remote "store"']
    url = ../store
"""
TABLE = "x,y,label\n" + "".join(f"{n},{n * n},{'ab'[n % 2]}\n" for n in range(40))

MakeSpec = Callable[..., Spec]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let DVC use a deprecated part of pygtrie: `dvc add` does, in every release so far."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(
                pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning")
            )


def git(project: Path, *arguments: str) -> str:
    """Run git as a test person."""
    person = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ["git", *person, *arguments],  # noqa: S607 - git of the PATH is the one to test
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def track(project: Path, *paths: str, push: bool = True) -> None:
    """Add paths to DVC as `dvc add` and `dvc push` do."""
    from dvc.repo import Repo

    with Repo(str(project)) as repo:
        repo.add([str(project / path) for path in paths])
        if push:
            repo.push()


def commit(project: Path, message: str) -> str:
    """Commit all and return the commit."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)
    return git(project, "rev-parse", "HEAD")


def write_images(folder: Path, count: int) -> list[str]:
    """Write grey pictures, all different; return their paths relative to `folder`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"images/{number:03d}.png" for number in range(count)]
    for number, name in enumerate(names):
        Image.new("L", (8, 8), number).save(folder / name)
    return names


def write_data(project: Path) -> None:
    """Write a folder with a table and a file of its own, and a single-file data set."""
    folder = project / "data" / "numbers"
    (folder / "more").mkdir(parents=True)
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    (folder / "more" / "notes.txt").write_text("notes\n", encoding="utf-8")
    (project / "data" / "single.csv").write_text(TABLE, encoding="utf-8")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one commit: two data sets, cached and pushed."""
    from dvc.repo import Repo

    project = tmp_path_factory.mktemp("template") / "project"
    project.mkdir()
    git(project, "init", "--quiet", "--initial-branch=main")
    Repo.init(str(project)).close()
    (project / ".dvc" / "config").write_text(CONFIG, encoding="utf-8")
    write_data(project)
    track(project, "data/numbers", "data/single.csv")
    commit(project, "data")
    git(project, "tag", "v1")
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the template that the test may change."""
    return Path(shutil.copytree(template, tmp_path / "project", symlinks=True))


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """A fresh clone beside the project's store: no cache, and no data in the work tree."""
    git(project.parent, "clone", "--quiet", str(project), str(tmp_path / "clone"))
    return tmp_path / "clone"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A project without git and without DVC."""
    folder = tmp_path / "plain"
    folder.mkdir()
    write_data(folder)
    return folder


def workspace_of(project: Path, home: Path) -> Workspace:
    """Make a workspace for any project."""
    return Workspace(Settings(project=project, MODELYARD_HOME=home))


@pytest.fixture
def workspace(project: Path, tmp_path: Path) -> Workspace:
    """The workspace of the tracked project."""
    return workspace_of(project, tmp_path / "home")


def make_spec(
    path: str = "data/numbers",
    table: str | None = "table.csv",
    inputs: tuple[tuple[str, str], ...] = (("x", "number"), ("y", "number")),
    outputs: tuple[tuple[str, str], ...] = (("label", "category"),),
    **data: object,
) -> Spec:
    """Make a spec about some data."""

    def features(pairs: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
        return [{"name": name, "type": kind} for name, kind in pairs]

    return Spec.model_validate(
        {
            "name": "test",
            "data": {"path": path, "table": table, **data},
            "model": {"input_features": features(inputs), "output_features": features(outputs)},
        }
    )


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real S3 server with the bucket `bucket`; yields its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
    yield endpoint
    server.stop()
