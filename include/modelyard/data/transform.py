"""Stage `transform`: the table after the spec's changes, as Parquet."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import PulledData, TransformedData
from modelyard.data.tables import read_raw, table_hash, text_columns, write_table
from modelyard.data.tiff import extract
from modelyard.data.transforms import change
from modelyard.data.words import plural
from modelyard.errors import DataError
from modelyard.spec.data import ExtractTiff
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

FORMAT = 1


def transform(spec: Spec, pulled: PulledData, workspace: Workspace) -> TransformedData:
    """Change the table, step by step."""
    depends_on: dict[str, JsonValue] = {
        "format": FORMAT,
        "data": pulled.key,
        "table": pulled.table,
        "steps": [step.model_dump(mode="json") for step in spec.data.transform],
        "text": [*sorted(text_columns(spec))],
    }
    return workspace.once(
        TransformedData,
        depends_on,
        lambda folder, key: _make(spec, pulled, workspace, folder, key),
    )


def _make(
    spec: Spec, pulled: PulledData, workspace: Workspace, folder: Path, key: str
) -> TransformedData:
    raw = read_raw(spec, pulled, workspace)
    files = workspace.path(pulled.folder)
    if any(isinstance(step, ExtractTiff) for step in spec.data.transform):
        _refuse_two_origins(spec, raw)
        files = folder / "files"
    table = _apply(spec, raw, workspace.path(pulled.folder), files)
    path = folder / "table.parquet"
    write_table(table, path)
    return TransformedData(
        key=key,
        table=workspace.relative(path),
        folder=workspace.relative(files),
        rows=len(table),
        columns=tuple(table.columns),
        content_hash=table_hash(table),
    )


def _apply(spec: Spec, raw: pd.DataFrame | None, source: Path, files: Path) -> pd.DataFrame:
    table = raw
    for number, step in enumerate(spec.data.transform):
        field = f"data.transform[{number}]"
        before = 0 if table is None else len(table)
        if isinstance(step, ExtractTiff):
            table = extract(step, source, files, table, field)
        elif table is None:
            message = f"{field}: there is no table yet; extract_tiff must come first"
            raise DataError(message)
        else:
            table = change(step, table, field).reset_index(drop=True)
        log.info("%s: %s, %s before", step.kind, plural(len(table), "row"), f"{before:,}")
    if table is None or table.empty:
        message = f"data.table: {spec.data.table or spec.data.path} has no rows"
        raise DataError(message)
    return table


def _refuse_two_origins(spec: Spec, raw: pd.DataFrame | None) -> None:
    """Extracted pages live in another folder than files that the table already names."""
    if raw is None:
        return
    for feature in (*spec.inputs, *spec.outputs):
        if feature.type == "image" and feature.column in raw.columns:
            message = f"data.transform: extract_tiff cannot be joined with the image column {feature.column}"
            raise DataError(message, hint="make one table with one kind of image files")
