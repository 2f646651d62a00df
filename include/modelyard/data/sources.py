"""Where new data comes from: a file, a folder, a web address, a database or S3."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from modelyard.data.progress import Progress, size_text
from modelyard.data.words import plural
from modelyard.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

BLOCK = 1 << 20
TIMEOUT = 30.0
ROWS = 50_000
TABLES = (".parquet", ".csv")


class Source(Protocol):
    """Something that can be fetched once."""

    @property
    def label(self) -> str:
        """The source in words, without any password."""

    @property
    def file_name(self) -> str | None:
        """The file's name; None for a folder."""

    def fetch(self, destination: Path) -> str | None:
        """Write the file or the folder; return a file's SHA-256."""


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file or a folder of this machine."""

    path: Path

    @property
    def label(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def file_name(self) -> str | None:
        """The file's name; None for a folder."""
        return self.path.name if self.path.is_file() else None

    def fetch(self, destination: Path) -> str | None:
        """Copy it."""
        try:
            if self.path.is_dir():
                shutil.copytree(self.path, destination)
                return None
            with self.path.open("rb") as stream:
                return _save(iter(lambda: stream.read(BLOCK), b""), destination, self.label, None)
        except (OSError, shutil.Error) as error:
            message = f"{self.path} cannot be copied: {error}"
            raise DataError(message) from error


@dataclass(frozen=True, slots=True)
class WebSource:
    """A file behind an HTTP or HTTPS address."""

    url: str
    timeout: float = TIMEOUT

    @property
    def label(self) -> str:
        """The address without user name, password and query, which may hold secrets."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))

    @property
    def file_name(self) -> str | None:
        """The last part of the address's path."""
        return unquote(PurePosixPath(urlsplit(self.url).path).name) or "download"

    def fetch(self, destination: Path) -> str | None:
        """Stream it to the disk; an incomplete answer is refused."""
        import httpx

        try:
            with httpx.stream(
                "GET", self.url, follow_redirects=True, timeout=self.timeout
            ) as answer:
                if answer.is_error:
                    message = f"{self.label} answered {answer.status_code} {answer.reason_phrase}"
                    raise DataError(message, hint="open the address in a browser to see why")
                length = answer.headers.get("content-length", "")
                total = int(length) if length.isdigit() else None
                return _save(answer.iter_bytes(BLOCK), destination, self.label, total)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            message = f"{self.label} cannot be fetched: {reason}"
            raise DataError(message) from error


@dataclass(frozen=True, slots=True)
class SqlSource:
    """The rows of a query."""

    url: str
    query: str
    suffix: str = ".parquet"

    @property
    def label(self) -> str:
        """The database's URL with its password hidden."""
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            return make_url(self.url).render_as_string(hide_password=True)
        except (ArgumentError, ValueError):
            return "the database"

    @property
    def file_name(self) -> str | None:
        """The table's name."""
        return f"table{self.suffix}"

    def fetch(self, destination: Path) -> str | None:
        """Run the query, read-only in effect as nothing is committed, and write its rows."""
        import pyarrow as pa

        chunks: list[pa.Table] = []
        progress = Progress(log, f"reading {self.label}, rows", None, "{:,}".format)
        with self._translated():
            for chunk in self._chunks():
                chunks.append(chunk)
                progress.add(chunk.num_rows)
            table = pa.concat_tables(chunks, promote_options="permissive")
        if table.num_rows == 0:
            message = f"the query to {self.label} found no rows"
            raise DataError(message)
        _write(table, destination, self.suffix)
        return _sha256(destination)

    def _chunks(self) -> Iterator[pa.Table]:
        import pandas as pd
        import pyarrow as pa
        from sqlalchemy import create_engine, text

        engine = create_engine(self.url)
        try:
            with engine.connect().execution_options(stream_results=True) as connection:
                for frame in pd.read_sql_query(text(self.query), connection, chunksize=ROWS):
                    yield pa.Table.from_pandas(frame, preserve_index=False)
        finally:
            engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the database and its driver raise into one line without the password."""
        import pyarrow as pa
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, pa.ArrowException, ImportError, ValueError, OSError) as error:
            # pandas' DatabaseError is an OSError; the cause may hold the URL, so it is not kept
            message = f"the query failed: {self._without_secrets(str(error).splitlines()[0])}"
            raise DataError(message, hint="see the URL's form in SQLAlchemy's manual") from None

    def _without_secrets(self, text: str) -> str:
        password = urlsplit(self.url).password
        text = text.replace(self.url, "the database")
        return text.replace(password, "***").replace(unquote(password), "***") if password else text


@dataclass(frozen=True, slots=True)
class CloudSource:
    """An object, or all objects below a prefix, of a store that DVC can read, such as S3."""

    url: str
    project: Path

    @property
    def label(self) -> str:
        """The address."""
        return self.url

    @property
    def file_name(self) -> str | None:
        """The object's name; None for a prefix."""
        from modelyard.data.stores import translated

        fs, path = self._open()
        with translated(f"{self.url} cannot be read", "credentials are those of the AWS tools"):
            if fs.isfile(path):
                return PurePosixPath(path).name
            if fs.isdir(path):
                return None
        message = f"{self.url} does not exist"
        raise DataError(message)

    def fetch(self, destination: Path) -> str | None:
        """Download it."""
        from modelyard.data.stores import translated

        single = self.file_name is not None
        fs, path = self._open()
        with translated(f"{self.url} cannot be read"):
            if single:
                fs.get_file(path, str(destination))
                return _sha256(destination)
            names = [name for name in fs.find(path) if not name.endswith("/")]
            progress = Progress(log, f"downloading {self.url}, files", len(names))
            for name in names:
                target = destination / PurePosixPath(name).relative_to(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                fs.get_file(name, str(target))
                progress.add()
        return None

    def _open(self) -> tuple[Any, str]:
        from modelyard.data.stores import open_cloud
        from modelyard.data.tracked import Repository

        with Repository(self.project, None) as repository:
            return open_cloud(self.url.rstrip("/"), repository.config)


def find_source(source: str, query: str | None, suffix: str | None, project: Path) -> Source:
    """Choose the kind of source by its spelling."""
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if query is not None or scheme.partition("+")[0] in _databases():
        return _sql(source, query, suffix)
    if scheme in {"http", "https"}:
        return WebSource(source)
    if scheme == "s3":
        return CloudSource(source, project)
    if scheme and scheme != "file":
        message = f"data cannot be brought from {scheme}://"
        raise UsageError(message, hint="a path, http://, https://, s3:// or a database URL can")
    path = Path(source.removeprefix("file://"))
    if not path.exists():
        message = f"{source} does not exist"
        raise DataError(message)
    return LocalSource(path.absolute())


def _sql(source: str, query: str | None, suffix: str | None) -> Source:
    if query is None or not query.strip():
        message = "a database needs a query"
        raise UsageError(message, hint='such as --query "SELECT * FROM samples"')
    if "://" not in source:
        message = "--query goes with a database URL"
        raise UsageError(message, hint="such as sqlite:///data.db or postgresql+psycopg://...")
    if suffix not in {None, *TABLES}:
        message = f"the rows of a query cannot be written as {suffix}"
        raise UsageError(
            message, hint="end the destination with .parquet or .csv, or name a folder"
        )
    return SqlSource(source, query, suffix or TABLES[0])


def _databases() -> frozenset[str]:
    return frozenset({"sqlite", "postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle"})


def _save(blocks: Iterator[bytes], destination: Path, label: str, total: int | None) -> str:
    """Write blocks to a file and hash them on the way."""
    digest = hashlib.sha256()
    progress = Progress(log, f"fetching {label}", total, size_text)
    if total is not None:
        log.info("fetching %s: %s", label, size_text(total))
    with destination.open("wb") as sink:
        for block in blocks:
            digest.update(block)
            sink.write(block)
            progress.add(len(block))
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(table: pa.Table, destination: Path, suffix: str) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    if suffix == ".csv":
        pyarrow.csv.write_csv(table, destination)
    else:
        pyarrow.parquet.write_table(table, destination)
    log.info("%s, %s", plural(table.num_rows, "row"), plural(table.num_columns, "column"))
