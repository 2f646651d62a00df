"""Drift reports: files below HOME/reports/, and nothing else."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from modelyard.settings import Settings

MOST_REPORTS: Final = 15
TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One drift report; `json` is None where only the page is there."""

    name: str
    html: str
    json: str | None
    at: datetime


def reports(settings: Settings, model: str) -> list[ReportRow]:
    """List the model's newest reports, with links relative to the pages."""
    root = settings.home / "reports"
    if "/" in model or model in {"", ".", ".."}:
        return []
    newest = heapq.nlargest(MOST_REPORTS, _pages(root / model))
    return [_row(root, path, at) for at, path in newest if find_report(root, _name(root, path))]


def _pages(folder: Path) -> Iterator[tuple[float, Path]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".html") and entry.is_file(follow_symlinks=False):
                    yield entry.stat(follow_symlinks=False).st_mtime, Path(entry.path)
    except (OSError, ValueError):  # there is none, or no folder can have such a name
        return


def _row(root: Path, path: Path, at: float) -> ReportRow:
    figures = path.with_suffix(".json")
    return ReportRow(
        name=path.name,
        html=link(_name(root, path)),
        json=link(_name(root, figures)) if figures.is_file() else None,
        at=datetime.fromtimestamp(at, UTC),
    )


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def link(name: str) -> str:
    """Spell a report's address, relative to the pages."""
    return f"reports/{quote(name)}"


def link_of_alert(settings: Settings, report: str | None) -> str | None:
    """Return the address of the report that an alert names, relative to HOME; None if it is gone."""
    name = (report or "").removeprefix("reports/")
    found = find_report(settings.home / "reports", name) if name else None
    return None if found is None else link(name)


def find_report(root: Path, name: str) -> Path | None:
    """Return a report's file; None for anything else, and for what lies outside of the folder."""
    try:
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    inside = path.is_relative_to(root.resolve())
    return path if inside and path.is_file() and path.suffix in TYPES else None
