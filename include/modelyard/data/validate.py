"""Stage `validate`: every rule that the raw data breaks, as an artifact and as a page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import PulledData, ValidationReport
from modelyard.data.checks import Result, check_images, check_table, failed, no_such_column
from modelyard.data.leakage import RULE, allowed, find_leakage
from modelyard.data.lineage import lineage
from modelyard.data.report import write_report
from modelyard.data.split import VALUES
from modelyard.data.tables import canonical, read_raw
from modelyard.data.tiff import check_pages
from modelyard.data.words import examples, plural, suggestion
from modelyard.errors import DataError
from modelyard.spec.data import ExtractTiff
from modelyard.spec.models import FeatureSpec, Spec
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

FORMAT = 1


def validate(spec: Spec, pulled: PulledData, workspace: Workspace) -> ValidationReport:
    """Ask all checks of the spec and those that always hold; broken ones do not raise."""
    data = spec.data.model_dump(mode="json", include={"checks", "transform", "split"})
    features: list[JsonValue] = [feature.model_dump() for feature in (*spec.inputs, *spec.outputs)]
    depends_on: dict[str, JsonValue] = {
        "format": FORMAT,
        "data": pulled.key,
        "table": pulled.table,
        "name": spec.name,
        "features": features,
        **data,
    }
    return workspace.once(
        ValidationReport,
        depends_on,
        lambda folder, key: _make(spec, pulled, workspace, folder, key),
    )


def _make(
    spec: Spec, pulled: PulledData, workspace: Workspace, folder: Path, key: str
) -> ValidationReport:
    files = workspace.path(pulled.folder)
    table = read_raw(spec, pulled, workspace)
    rows, results = _tiff_only(spec, files) if table is None else _table(spec, table, files)
    failures = tuple(result.failure for result in results if result.failure is not None)
    log.info("validate: %s, %s failed", plural(len(results), "check"), len(failures))
    path = folder / "report.html"
    report = ValidationReport(
        key=key,
        passed=not failures,
        rows=rows,
        checks=len(results),
        failures=failures,
        report=workspace.relative(path),
    )
    write_report(path, spec, pulled, report, results)
    return report


def _table(spec: Spec, table: pd.DataFrame, files: Path) -> tuple[int, list[Result]]:
    columns = [str(name) for name in table.columns]
    final = lineage(columns, spec.data.transform)
    results = [_any_rows(table), *check_table(table, spec.data.checks, files)]
    results += _features(spec, final)
    results += _images(spec, table, final, files)
    results += _split(spec, table, final, files)
    results += _tiffs(spec, files)[1]
    return len(table), results


def _tiff_only(spec: Spec, files: Path) -> tuple[int, list[Result]]:
    """Check data whose table a transform makes: there are no raw columns to ask."""
    results = _features(spec, lineage([], spec.data.transform))
    for check in spec.data.checks:
        if check.leakage is None:
            message = "there is no table before the transforms; leave the check out"
            results.append(failed("the table exists", check.column, message, []))
    pages, tiffs = _tiffs(spec, files)
    return pages, results + tiffs


def _any_rows(table: pd.DataFrame) -> Result:
    check = "the table has rows"
    return failed(check, None, "the table has no rows", []) if table.empty else Result(check, None)


def _features(spec: Spec, final: dict[str, str | None]) -> list[Result]:
    """Ask whether every column that the model names will be there."""
    results = []
    for kind, features in (("input", spec.inputs), ("output", spec.outputs)):
        for feature in features:
            check = f"the {kind} feature {feature.name} has its column"
            if feature.column in final:
                results.append(Result(check, feature.column))
            else:
                message = (
                    f"the table has no column {feature.column} for the model's {kind} feature "
                    f"{feature.name}; {suggestion(feature.column, list(final))}"
                )
                results.append(failed(check, feature.column, message, []))
    return results


def _images(
    spec: Spec, table: pd.DataFrame, final: dict[str, str | None], files: Path
) -> list[Result]:
    """Open the files of image features, unless a check of the spec has done so."""
    asked = {check.column for check in spec.data.checks if check.type == "image"}
    origins = [
        final.get(feature.column)
        for feature in (*spec.inputs, *spec.outputs)
        if feature.type == "image"
    ]
    return [
        check_images(table[column], files)
        for column in dict.fromkeys(origins)
        if column is not None and column not in asked
    ]


def _split(
    spec: Spec, table: pd.DataFrame, final: dict[str, str | None], files: Path
) -> list[Result]:
    """Ask the split's columns; where the table itself says the splits, look for leakage too."""
    how = spec.data.split
    results = []
    for field in ("stratify", "column", "group", "blocks_of"):
        column = getattr(how, field)
        if column is not None and column not in final:
            missing = no_such_column(column, list(final)).failure
            message = f"data.split.{field}: {missing.message}" if missing else ""
            results.append(failed(f"the column of data.split.{field} exists", column, message, []))
    origin = final.get(how.column) if how.column is not None else None
    if origin is not None:
        results += _split_column(spec, table, origin, final, files)
    return results


def _split_column(
    spec: Spec, table: pd.DataFrame, column: str, final: dict[str, str | None], files: Path
) -> list[Result]:
    check = "every row says train, validation or test"
    values = canonical(table[column])
    wrong = [row for row, value in enumerate(values) if value not in VALUES]
    if wrong:
        spelt = examples(wrong, lambda row: f"{_shown(values[row])} in row {row + 1}")
        message = f"{column}: {plural(len(wrong), 'row')} without a split: {spelt}"
        return [failed(check, column, message, wrong)]
    splits = [VALUES[value] for value in values]
    return [Result(check, column), *_leakage(spec, table, splits, final, files)]


def _leakage(
    spec: Spec,
    table: pd.DataFrame,
    splits: Sequence[int],
    final: dict[str, str | None],
    files: Path,
) -> list[Result]:
    raw = {feature: final.get(feature.column) for feature in spec.inputs}
    present: dict[FeatureSpec, str] = {one: name for one, name in raw.items() if name is not None}
    if allowed(spec) or not present or len(present) < len(raw):
        return []
    images = [name for feature, name in present.items() if feature.type == "image"]
    leak = find_leakage(table, list(present.values()), images, files, splits)
    return [Result(RULE, None, leak)]


def _tiffs(spec: Spec, files: Path) -> tuple[int, list[Result]]:
    """Read the files that `extract_tiff` will read; return their pages too."""
    pages, results = 0, []
    for number, step in enumerate(spec.data.transform):
        if isinstance(step, ExtractTiff):
            check = f"{step.images} and its masks can be read"
            try:
                pages += check_pages(step, files, f"data.transform[{number}]")
            except DataError as error:
                results.append(failed(check, None, str(error), []))
            else:
                results.append(Result(check, None))
    return pages, results


def _shown(value: str) -> str:
    return "nothing" if value == "\x00" else repr(value)
