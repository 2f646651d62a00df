"""Bringing data in: from real files, servers and databases, complete or not at all."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from modelyard.data.ingest import Ingested, ingest
from modelyard.data.pull import pull
from modelyard.errors import DataError, UsageError
from modelyard.workspace import Workspace
from tests.data.conftest import TABLE, commit, git, make_spec, workspace_of

SHA256 = hashlib.sha256(TABLE.encode()).hexdigest()
WRONG = "0" * 64

Bring = Callable[..., Ingested]


@pytest.fixture
def bring(project: Path) -> Bring:
    """Ingest into the tracked project."""

    def run(source: object, destination: str = "data/new", **options: object) -> Ingested:
        return ingest(str(source), Path(destination), project=project, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def left_behind(project: Path) -> list[str]:
    """Names below data/ that a failed ingest must not leave."""
    return [
        path.name
        for path in (project / "data").iterdir()
        if path.name.startswith((".new", "new")) or path.name.endswith(".partial")
    ]


class TestFiles:
    def test_a_file_goes_into_a_folder_and_gets_a_version(
        self, bring: Bring, csv: Path, project: Path
    ) -> None:
        done = bring(csv)
        assert (project / "data/new/table.csv").read_text(encoding="utf-8") == TABLE
        assert f"md5: {done.content_hash}" in (project / "data/new.dvc").read_text("utf-8")
        assert (done.path, done.files, done.size) == ("data/new", 1, len(TABLE))
        assert "/new" in (project / "data/.gitignore").read_text("utf-8").split()

    def test_a_destination_that_ends_like_the_file_is_the_file(
        self, bring: Bring, csv: Path, project: Path
    ) -> None:
        bring(csv, "data/churn.csv")
        assert (project / "data/churn.csv").read_text(encoding="utf-8") == TABLE
        assert (project / "data/churn.csv.dvc").is_file()

    def test_a_folder_comes_as_it_is(self, bring: Bring, tmp_path: Path, project: Path) -> None:
        (tmp_path / "photos" / "old").mkdir(parents=True)
        (tmp_path / "photos" / "old" / "a.png").write_bytes(b"a")
        (tmp_path / "photos" / "table.csv").write_text(TABLE, encoding="utf-8")
        assert bring(tmp_path / "photos").files == 2
        assert (project / "data/new/old/a.png").read_bytes() == b"a"

    def test_a_new_parent_folder_is_made(self, bring: Bring, csv: Path, project: Path) -> None:
        bring(csv, "data/teams/blue")
        assert (project / "data/teams/blue/table.csv").is_file()

    def test_the_next_steps_work_as_they_are_told(
        self, bring: Bring, csv: Path, project: Path, workspace: Workspace
    ) -> None:
        done = bring(csv)
        assert done.next_steps[0] == "git add data/new.dvc data/.gitignore"
        git(project, *done.next_steps[0].split()[1:])
        assert done.next_steps[2] == "dvc push"
        commit(project, "new data")
        pulled = pull(make_spec("data/new", revision="HEAD"), workspace)
        assert pulled.content_hash == done.content_hash

    def test_the_checksum_of_a_file_is_compared_if_it_is_given(
        self, bring: Bring, csv: Path, project: Path
    ) -> None:
        with pytest.raises(DataError, match=f"its SHA-256 is {SHA256}, not {WRONG}"):
            bring(csv, sha256=WRONG)
        assert left_behind(project) == []
        assert bring(csv, sha256=SHA256.upper()).files == 1

    def test_without_dvc_the_data_comes_and_the_hint_says_how_to_version_it(
        self, csv: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "bare"
        folder.mkdir()
        done = ingest(str(csv), Path("data/new"), project=folder)
        assert done.content_hash is None
        assert done.next_steps == ("dvc init", "dvc add data/new")
        assert (folder / "data/new/table.csv").is_file()


class TestOverwriting:
    def test_what_is_there_is_not_overwritten(self, bring: Bring, csv: Path) -> None:
        with pytest.raises(UsageError, match="data/numbers is there already"):
            bring(csv, "data/numbers")

    def test_a_pointer_alone_counts_as_there(self, bring: Bring, csv: Path, project: Path) -> None:
        (project / "data/single.csv").unlink()
        with pytest.raises(UsageError, match="--force replaces it"):
            bring(csv, "data/single.csv")

    def test_force_replaces_and_the_old_version_stays_in_git(
        self, bring: Bring, csv: Path, project: Path, workspace: Workspace
    ) -> None:
        csv.write_text("x,y,label\n1,2,a\n", encoding="utf-8")
        done = bring(csv, "data/numbers", force=True)
        assert sorted(path.name for path in (project / "data/numbers").iterdir()) == ["table.csv"]
        assert pull(make_spec(), workspace).content_hash == done.content_hash
        assert pull(make_spec(revision="v1"), workspace).files == 2

    def test_a_failed_replacement_keeps_the_old_data(
        self, bring: Bring, csv: Path, project: Path
    ) -> None:
        with pytest.raises(DataError):
            bring(csv, "data/numbers", sha256=WRONG, force=True)
        assert (project / "data/numbers/more/notes.txt").is_file()

    def test_if_dvc_refuses_nothing_has_changed(
        self, bring: Bring, csv: Path, project: Path
    ) -> None:
        (project / "data/mine").mkdir()
        (project / "data/mine/own.txt").write_text("own\n", encoding="utf-8")
        commit(project, "git tracks data/mine")
        with pytest.raises(DataError, match="DVC cannot track mine"):
            bring(csv, "data/mine", force=True)
        assert [path.name for path in (project / "data/mine").iterdir()] == ["own.txt"]
        assert git(project, "status", "--porcelain") == ""


class TestRefusals:
    @pytest.mark.parametrize("destination", ["../outside", "/tmp/outside", "."])
    def test_a_destination_outside_of_the_project(
        self, bring: Bring, csv: Path, destination: str
    ) -> None:
        with pytest.raises(UsageError, match="is not below the project"):
            bring(csv, destination)

    def test_a_source_that_does_not_exist(self, bring: Bring, project: Path) -> None:
        with pytest.raises(DataError, match=r"none\.csv does not exist"):
            bring("none.csv")
        assert left_behind(project) == []

    def test_a_kind_of_address_that_is_not_known(self, bring: Bring) -> None:
        with pytest.raises(UsageError, match="data cannot be brought from ftp://"):
            bring("ftp://example.org/a.csv")

    @pytest.mark.parametrize("digest", ["abc", WRONG[:-1] + "g"])
    def test_a_checksum_that_is_none(self, bring: Bring, csv: Path, digest: str) -> None:
        with pytest.raises(UsageError, match="is not a SHA-256, which has 64 hex digits"):
            bring(csv, sha256=digest)

    def test_a_checksum_for_a_folder(self, bring: Bring, csv: Path, project: Path) -> None:
        with pytest.raises(UsageError, match="--sha256 is for one file"):
            bring(csv.parent / "project" / "data", sha256=SHA256)
        assert left_behind(project) == []


class Handler(BaseHTTPRequestHandler):
    """A small file server with some faults."""

    def do_GET(self) -> None:
        body = TABLE.encode()
        path = self.path.partition("?")[0]
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/files/table.csv")
            self.end_headers()
            return
        self.send_response(200 if path in {"/files/table.csv", "/broken.csv"} else 404)
        self.send_header("Content-Length", str(len(body) + (1000 if path == "/broken.csv" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestWeb:
    def test_a_file_is_fetched_and_checked(
        self, bring: Bring, web: str, project: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "modelyard.data"):
            bring(f"{web}/files/table.csv", sha256=SHA256)
        assert (project / "data/new/table.csv").read_text(encoding="utf-8") == TABLE
        assert f"fetching {web}/files/table.csv: {len(TABLE)} bytes" in caplog.text

    def test_a_checksum_is_asked_for(self, bring: Bring, web: str) -> None:
        with pytest.raises(UsageError, match="--no-checksum trusts the address"):
            bring(f"{web}/files/table.csv")

    def test_the_address_may_be_trusted(self, bring: Bring, web: str) -> None:
        assert bring(f"{web}/files/table.csv", checksum=False).size == len(TABLE)

    def test_other_content_is_refused_and_removed(
        self, bring: Bring, web: str, project: Path
    ) -> None:
        with pytest.raises(DataError, match="nothing was kept"):
            bring(f"{web}/files/table.csv", sha256=WRONG)
        assert left_behind(project) == []

    def test_a_broken_transfer_is_refused_and_removed(
        self, bring: Bring, web: str, project: Path
    ) -> None:
        with pytest.raises(DataError, match="cannot be fetched"):
            bring(f"{web}/broken.csv", checksum=False)
        assert left_behind(project) == []

    def test_a_redirect_is_followed(self, bring: Bring, web: str, project: Path) -> None:
        bring(f"{web}/moved", "data/new.csv", checksum=False)
        assert (project / "data/new.csv/moved").read_text(encoding="utf-8") == TABLE

    def test_an_error_of_the_server_is_told_without_secrets(self, bring: Bring, web: str) -> None:
        address = web.replace("://", "://user:secret@")
        with pytest.raises(DataError, match="answered 404 Not Found") as caught:
            bring(f"{address}/none.csv?token=secret", checksum=False)
        assert "secret" not in str(caught.value)

    def test_a_server_that_is_not_there(self, bring: Bring, project: Path) -> None:
        with pytest.raises(DataError, match="cannot be fetched"):
            bring("http://127.0.0.1:1/a.csv", checksum=False)
        assert left_behind(project) == []


class TestSql:
    @pytest.fixture
    def database(self, tmp_path: Path) -> str:
        path = tmp_path / "shop.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER, price REAL, note TEXT)")
            rows = [(number, number / 4, None if number % 3 else "x") for number in range(300)]
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        connection.close()
        return f"sqlite:///{path}"

    def test_the_rows_come_as_parquet(self, bring: Bring, database: str, project: Path) -> None:
        bring(database, query="SELECT * FROM orders ORDER BY id")
        table = pd.read_parquet(project / "data/new/table.parquet")
        assert table["id"].tolist() == list(range(300))
        assert table["price"].iloc[2] == 0.5
        assert table["note"].isna().sum() == 200

    def test_the_rows_come_as_csv(self, bring: Bring, database: str, project: Path) -> None:
        bring(database, "data/orders.csv", query="SELECT id, price FROM orders WHERE id < 2")
        text = (project / "data/orders.csv").read_text(encoding="utf-8")
        assert text == '"id","price"\n0,0\n1,0.25\n'

    def test_many_rows_come_in_pieces_whose_types_differ(
        self, bring: Bring, database: str, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("modelyard.data.sources.ROWS", 2)
        bring(database, query="SELECT id, note FROM orders WHERE id BETWEEN 1 AND 5")
        table = pd.read_parquet(project / "data/new/table.parquet")
        assert table["note"].fillna("-").tolist() == ["-", "-", "x", "-", "-"]

    def test_a_database_needs_a_query(self, bring: Bring, database: str) -> None:
        with pytest.raises(UsageError, match="a database needs a query"):
            bring(database)

    def test_a_query_needs_a_database(self, bring: Bring, csv: Path) -> None:
        with pytest.raises(UsageError, match="--query goes with a database URL"):
            bring(csv, query="SELECT 1")

    @pytest.mark.parametrize("query", ["SELECT * FROM nothing", "SELEC 1", "DROP TABLE orders"])
    def test_a_query_that_fails_or_gives_no_rows(
        self, bring: Bring, database: str, query: str, project: Path
    ) -> None:
        with pytest.raises(DataError, match="the query failed"):
            bring(database, query=query)
        assert left_behind(project) == []

    def test_a_query_that_finds_nothing(self, bring: Bring, database: str) -> None:
        with pytest.raises(DataError, match="found no rows"):
            bring(database, query="SELECT * FROM orders WHERE id < 0")

    def test_what_a_query_changes_is_not_kept(self, bring: Bring, database: str) -> None:
        bring(database, query="DELETE FROM orders RETURNING id")
        assert bring(database, "data/again", query="SELECT * FROM orders").files == 1

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql+psycopg://me:s3cret%21@127.0.0.1:1/shop",
            "postgresql+nodriver://me:s3cret%21@127.0.0.1:1/shop",
            "mysql://me:s3cret%21@127.0.0.1:1/shop",
        ],
    )
    def test_a_password_is_never_told(
        self, bring: Bring, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as caught:
            bring(url, query="SELECT 1")
        told = f"{caught.value!r}{caught.value}{caught.value.__cause__}{caplog.text}"
        assert "s3cret" not in told

    def test_the_destination_must_be_a_table(self, bring: Bring, database: str) -> None:
        with pytest.raises(UsageError, match=r"cannot be written as \.xlsx"):
            bring(database, "data/orders.xlsx", query="SELECT 1")


class TestS3:
    @pytest.fixture
    def objects(self, s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
        import boto3

        monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
        client = boto3.client("s3", endpoint_url=s3)
        for key in ("raw/table.csv", "raw/more/notes.txt"):
            client.put_object(Bucket="bucket", Key=key, Body=TABLE.encode())
        return s3

    @pytest.mark.usefixtures("objects")
    def test_an_object_and_a_prefix_come(self, bring: Bring, project: Path) -> None:
        bring("s3://bucket/raw/table.csv", sha256=SHA256)
        assert (project / "data/new/table.csv").read_text(encoding="utf-8") == TABLE
        assert bring("s3://bucket/raw/", "data/all").files == 2
        assert (project / "data/all/more/notes.txt").is_file()
        with pytest.raises(DataError, match="s3://bucket/none does not exist"):
            bring("s3://bucket/none", "data/none")

    def test_the_settings_of_a_dvc_remote_in_the_same_bucket_are_used(
        self, objects: str, project: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        with (project / ".dvc" / "config").open("a", encoding="utf-8") as config:
            config.write(
                f"['remote \"cloud\"']\n    url = s3://bucket/dvc\n    endpointurl = {objects}\n"
            )
        assert bring("s3://bucket/raw/table.csv").size == len(TABLE)


def test_two_at_once_both_get_their_version(project: Path, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def run(name: str) -> None:
        try:
            ingest(str(tmp_path / f"{name}.csv"), Path(f"data/{name}"), project=project)
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            errors.append(error)

    names = ["one", "two", "three"]
    for name in names:
        (tmp_path / f"{name}.csv").write_text(f"x\n{name}\n", encoding="utf-8")
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    workspace = workspace_of(project, tmp_path / "home")
    for name in names:
        assert pull(make_spec(f"data/{name}", f"{name}.csv"), workspace).files == 1
