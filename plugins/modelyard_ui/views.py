"""What the page shows: specs, models with their traffic, and drift reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from modelyard.settings import Settings
from modelyard.spec.load import load_all
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, Variant

MOST_REPORTS = 100
REPORT_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}


@dataclass(frozen=True, slots=True)
class SpecRow:
    """One file of model_specs/."""

    file: str
    name: str
    description: str
    features: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """One deployed version and its share of the traffic, 0 to 1."""

    version: int
    role: str
    share: float


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One served model."""

    name: str
    shares: tuple[Share, ...]
    last: LedgerEntry | None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One drift report."""

    name: str
    href: str
    at: datetime


def specs(settings: Settings) -> list[SpecRow]:
    """List every spec, broken ones with what is wrong."""
    rows = []
    for loaded in load_all(settings.specs):
        name, file = loaded.path.stem, loaded.path.name
        if loaded.spec is None:
            error = str(loaded.error).replace(f"{loaded.path.parent}/", "")
            rows.append(SpecRow(file, name, "", "", error))
            continue
        spec = loaded.spec
        ways = [
            ", ".join(sorted({each.type for each in side})) for side in (spec.inputs, spec.outputs)
        ]
        rows.append(SpecRow(file, name, spec.description, " to ".join(ways), None))
    return rows


def models(settings: Settings) -> list[ModelRow]:
    """List every served model with its variants and the last move."""
    with open_store(settings.database_url) as store:
        by_name: dict[str, list[Variant]] = {}
        for variant in store.variants():
            by_name.setdefault(variant.model, []).append(variant)
        return [
            ModelRow(name, _shares(variants), next(iter(store.ledger(name, limit=1)), None))
            for name, variants in sorted(by_name.items())
        ]


def _shares(variants: list[Variant]) -> tuple[Share, ...]:
    total = sum(variant.weight for variant in variants) or 1.0
    return tuple(
        Share(variant.version, variant.role, variant.weight / total)
        for variant in sorted(variants, key=lambda variant: -variant.weight)
    )


def reports(settings: Settings) -> list[ReportRow]:
    """List the newest drift reports."""
    root = settings.home / "reports"
    found = sorted(_files(root), key=lambda file: file[1], reverse=True)
    return [
        ReportRow(name, f"reports/{quote(name)}", datetime.fromtimestamp(at, UTC))
        for name, at in found[:MOST_REPORTS]
    ]


def _files(root: Path) -> Iterator[tuple[str, float]]:
    for path in root.rglob("*.html"):
        if find_report(root, path.relative_to(root).as_posix()) is not None:
            yield path.relative_to(root).as_posix(), path.stat().st_mtime


def find_report(root: Path, name: str) -> Path | None:
    """Return a report's file; None for anything else, and for what lies outside of the folder."""
    try:
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    inside = path.is_relative_to(root.resolve())
    return path if inside and path.is_file() and path.suffix in REPORT_TYPES else None
