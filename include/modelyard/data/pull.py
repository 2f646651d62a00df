"""Stage `pull`: the data of the spec's revision, in a folder of its own."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath

from pydantic import JsonValue

from modelyard.artifacts import PulledData
from modelyard.data.progress import size_text
from modelyard.data.versions import Version, open_version
from modelyard.data.words import listed, plural
from modelyard.errors import DataError
from modelyard.spec.data import DataSpec, ExtractTiff
from modelyard.spec.hints import nearest
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

log = logging.getLogger(__name__)

TABLES = (".csv", ".tsv", ".parquet")


def pull(spec: Spec, workspace: Workspace) -> PulledData:
    """Bring the data into a folder keyed by its content, so that equal versions share it."""
    project = workspace.settings.project
    with open_version(project, spec.data.path, spec.data.revision) as version:
        name = version.file_name
        depends_on: dict[str, JsonValue] = {"content": version.content_hash, "name": name}
        pulled = workspace.once(
            PulledData, depends_on, lambda folder, key: _make(version, folder, key, workspace)
        )
        revision = version.revision
    log.info(
        "%s at %s: %s, %s, %s",
        spec.data.path,
        revision[:12],
        plural(pulled.files, "file"),
        size_text(pulled.size),
        pulled.content_hash,
    )
    table = find_table(spec.data, workspace.path(pulled.folder), name)
    return pulled.model_copy(update={"revision": revision, "table": table})


def _make(version: Version, folder: Path, key: str, workspace: Workspace) -> PulledData:
    data = folder / "data"
    version.copy_to(data)
    sizes = [path.stat().st_size for path in data.rglob("*") if path.is_file()]
    return PulledData(
        key=key,
        revision=version.revision,
        content_hash=version.content_hash,
        folder=workspace.relative(data),
        table=None,
        files=len(sizes),
        size=sum(sizes),
    )


def find_table(data: DataSpec, folder: Path, file_name: str | None) -> str | None:
    """Return the table's path inside the folder; None where a transform makes it."""
    if data.table is None:
        return _implied_table(data, folder, file_name)
    inside = PurePosixPath(data.table)
    if inside.is_absolute() or ".." in inside.parts:
        message = f"data.table: {data.table} must be a path inside {data.path}"
        raise DataError(message)
    if not (folder / inside).is_file():
        message = f"data.table: {data.path} has no {data.table}"
        raise DataError(message, hint=_offer(folder, data.table))
    return inside.as_posix()


def _implied_table(data: DataSpec, folder: Path, file_name: str | None) -> str | None:
    makes_table = any(isinstance(step, ExtractTiff) for step in data.transform)
    if makes_table and not (file_name or "").endswith(TABLES):
        return None
    if file_name is not None:
        return file_name
    message = f"data.table: {data.path} is a folder; say which of its files is the table"
    raise DataError(message, hint=_offer(folder, ""))


def _offer(folder: Path, wanted: str) -> str:
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    tables = sorted(path for path in paths if path.endswith(TABLES))
    meant = nearest(wanted, tables)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"tables there: {listed(tables)}" if tables else "it holds no .csv, .tsv or .parquet"
