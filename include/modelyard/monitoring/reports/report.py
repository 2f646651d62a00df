"""One HTML file that opens offline, and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, JsonValue

from modelyard.errors import MonitoringError
from modelyard.monitoring.profile import ColumnSummary
from modelyard.monitoring.reports.context import ReportContext
from modelyard.monitoring.reports.document import document, retold
from modelyard.monitoring.reports.page import render
from modelyard.monitoring.reports.said import Document, Profiles
from modelyard.store.monitoring_records import AlertRecord, DriftCheck, PerformanceCheck
from modelyard.workspace import write_atomically

if TYPE_CHECKING:
    from modelyard.monitoring.reports.distributions import Distribution

SIDES: Final = ("reference", "window")


def write_report(
    check: DriftCheck,
    distributions: Mapping[str, Distribution],
    profiles: Profiles,
    destination: Path,
    *,
    context: ReportContext | None = None,
) -> Path:
    """Write `destination` (HTML) and beside it the same as `.json`; return `destination`.

    `profiles` are those of the reference and of the window. The context adds what the comparison
    itself does not know: earlier checks, performance, alerts, example rows, embeddings.
    """
    said = document(check, distributions, profiles, context or ReportContext())
    return _write(check, said, distributions, profiles, destination)


def renew_report(
    html: Path, *, performance: Sequence[PerformanceCheck], alerts: Sequence[AlertRecord]
) -> Path:
    """Write a report again with what followed from it: performance, newest first, and open alerts.

    Everything else is read from the JSON beside it.

    Raises:
        MonitoringError: there is no such report, or another version of Modelyard wrote it.
    """
    from modelyard.monitoring.reports.distributions import Distribution

    try:
        found = json.loads(html.with_suffix(".json").read_text(encoding="utf-8"))
        check = DriftCheck.model_validate(_part(found, DriftCheck))
        said = Document.model_validate(_part(found, Document))
        drawn = {
            name: Distribution.model_validate(one) for name, one in found["distributions"].items()
        }
        reference, window = (
            {
                name: ColumnSummary.model_validate(one)
                for name, one in found["profiles"][side].items()
            }
            for side in SIDES
        )
    except (OSError, ValueError, KeyError) as error:
        message = f"{html} cannot be written again: {type(error).__name__}"
        raise MonitoringError(message, hint="compare the window once more") from error
    now_said = retold(said, performance, alerts)
    return _write(check, now_said, drawn, (reference, window), html)


def _part(found: dict[str, JsonValue], kind: type[BaseModel]) -> dict[str, JsonValue]:
    return {name: found[name] for name in kind.model_fields}


def _write(
    check: DriftCheck,
    said: Document,
    distributions: Mapping[str, Distribution],
    profiles: Profiles,
    destination: Path,
) -> Path:
    as_json = destination.with_suffix(".json")
    write_atomically(as_json, _json(check, said, distributions, profiles))
    write_atomically(destination, render(check, said, distributions, profiles, as_json.name))
    return destination


def _json(
    check: DriftCheck,
    said: Document,
    distributions: Mapping[str, Distribution],
    profiles: Profiles,
) -> str:
    document = {
        **check.model_dump(mode="json"),
        **said.model_dump(mode="json"),
        "distributions": {name: one.model_dump() for name, one in distributions.items()},
        "profiles": {
            side: {name: one.model_dump() for name, one in summaries.items()}
            for side, summaries in zip(SIDES, profiles, strict=True)
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
