"""Compare a window of logged predictions with the reference: verdicts, kept and written down."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from modelyard.errors import MonitoringError
from modelyard.monitoring.reference import read_outputs, read_profile, read_sample
from modelyard.monitoring.window import (
    LiveWindow,
    Segment,
    Window,
    parse_segment,
    read_window,
    span_of,
)
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import DriftCheck, Source, Verdict
from modelyard.store.predictions import Span
from modelyard.store.records import now

if TYPE_CHECKING:
    import pandas as pd

    from modelyard.monitoring.reports.distributions import Distribution

__all__ = ["DriftReport", "LiveWindow", "Window", "drift", "read_window"]

log = logging.getLogger(__name__)

MOST_ROWS: Final = 20_000
"""Of a larger window that is no number of predictions, the profiles' sketches are judged."""
COVERED: Final = 0.95


class DriftReport(BaseModel):
    """A comparison, and where it is written down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: DriftCheck = Field(description="The comparison with the verdict of each column.")
    html: Path = Field(description="The report for people; opens offline.")
    json_file: Path = Field(description="The same figures for scripts.")
    profile: Path = Field(description="The window's profile, as whylogs writes it.")


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose predictions are compared, and with what."""

    store: Store
    model: str
    version: int
    span: Span
    segment: Segment | None
    monitor: MonitorSpec
    reference: pd.DataFrame
    outputs: pd.DataFrame | None
    profile: bytes | None

    def rows(self, span: Span) -> LiveWindow:
        """Read the rows of a stretch."""
        return read_window(
            self.store,
            self.model,
            self.version,
            span,
            self.reference,
            outputs=self.outputs,
            segment=self.segment,
        )


@dataclass(frozen=True, slots=True)
class _Judged:
    """What came of it."""

    source: Source
    verdicts: list[Verdict]
    rows: int
    first_at: datetime
    last_at: datetime
    profile: bytes
    distributions: dict[str, Distribution]


def drift(  # noqa: PLR0913 - what, against what, from where, how and where to
    model: str,
    version: int,
    *,
    reference_folder: Path,
    store: Store,
    monitor: MonitorSpec,
    window: Window,
    destination: Path,
    run: str | None = None,
    home: Path | None = None,
    segment: str | None = None,
    keep: bool = True,
) -> DriftReport:
    """Compare a window of the version's predictions with its reference, and write the report.

    `window` is the last so many predictions, `all`, or a time span such as `24h`; `segment` is
    COLUMN=VALUE and keeps only such rows of the window and of the reference. `destination` is the
    HTML file; the JSON and the window's profile are put beside it. The verdicts are kept in the
    database, unless `keep` is false. Below `home` are the live profiles: where it is given, `all` and time spans of more
    than 20,000 predictions are judged from them.

    Raises:
        MonitoringError: there is no reference, or there are too few predictions.
        UsageError: `window` or `segment` is written otherwise.
    """
    whole = read_sample(reference_folder)
    part = parse_segment(segment)
    part = None if part is None else part.among(whole)
    asked = _Asked(
        store,
        model,
        version,
        span_of(window),
        part,
        monitor,
        whole if part is None else part.keep(whole),
        _answers_of(read_outputs(reference_folder), part),
        read_profile(reference_folder) if part is None else None,
    )
    content = _live_profile(asked, home) if not isinstance(window, int) else None
    judged = _of_rows(asked) if content is None else _of_profile(asked, content)
    check = _check(asked, judged, str(window), run)
    report = _write(asked, judged, check, destination, home)
    if keep:
        store.save_verdicts(check)
    log.info("%s version %s: drift report %s", model, version, report.html)
    return report


def _answers_of(outputs: pd.DataFrame | None, segment: Segment | None) -> pd.DataFrame | None:
    """Return the reference of the outputs; for a segment only if it says which rows are in it."""
    if outputs is not None and segment is not None:
        column = f"input.{segment.column}"
        outputs = segment.keep(outputs, column) if column in outputs else None
    return outputs if outputs is not None and len(outputs) else None


def _live_profile(asked: _Asked, home: Path | None) -> bytes | None:
    """Read the profile of a large window; None if its rows are to be read instead."""
    from modelyard.monitoring.live import read_live
    from modelyard.monitoring.profile import sketches
    from modelyard.monitoring.sketches import rows_of

    if home is None:
        return None
    count = asked.store.count_predictions(asked.model, asked.version, asked.span)
    if count <= MOST_ROWS:
        return None
    content = read_live(
        home,
        asked.model,
        asked.version,
        since=asked.span.since,
        until=asked.span.until,
        segment=_name(asked.segment),
    )
    if content is None:
        return None
    profiled = rows_of(sketches(content))
    if asked.segment is None and profiled < COVERED * count:
        log.warning(
            "%s version %s: profiles have %s of %s predictions, so each is read",
            asked.model,
            asked.version,
            profiled,
            count,
        )
        return None
    return content


def _name(segment: Segment | None) -> str:
    return f"{segment.column}={segment.value}" if segment else ""


def _of_rows(asked: _Asked) -> _Judged:
    import pandas as pd

    from modelyard.monitoring.dating import dated
    from modelyard.monitoring.drift import compare
    from modelyard.monitoring.profile import profile_frame
    from modelyard.monitoring.reports.distributions import distributions

    live = asked.rows(asked.span)
    outputs = None
    if asked.outputs is not None and live.outputs is not None:
        outputs = (asked.outputs, live.outputs)
    verdicts = compare(asked.reference, live.frame, asked.monitor, outputs)
    whole = live.frame if live.outputs is None else pd.concat([live.frame, live.outputs], axis=1)
    return _Judged(
        source="rows",
        verdicts=dated(verdicts, asked.reference, live, asked.outputs),
        rows=len(live.frame),
        first_at=live.first_at,
        last_at=live.last_at,
        profile=profile_frame(whole),
        distributions=distributions(asked.reference, live.frame, outputs),
    )


def _of_profile(asked: _Asked, content: bytes) -> _Judged:
    from modelyard.monitoring.dating import dated
    from modelyard.monitoring.profile import sketches
    from modelyard.monitoring.reports.distributions import sketched
    from modelyard.monitoring.sketches import compare_sketches, rows_of

    found = sketches(content)
    verdicts = compare_sketches(asked.reference, found, asked.monitor, asked.outputs)
    # Rows may be deleted before their profiles are.
    moment = now()
    extent = asked.store.extent(asked.model, asked.version, asked.span) or (moment, moment)
    if any(verdict.drifted for verdict in verdicts):
        try:
            newest = asked.rows(asked.span._replace(last=MOST_ROWS))
        except MonitoringError as error:  # judged all the same; only its beginning is not known
            log.info("%s", error)
        else:
            verdicts = dated(verdicts, asked.reference, newest, asked.outputs)
    return _Judged(
        source="profiles",
        verdicts=verdicts,
        rows=rows_of(found),
        first_at=extent[0],
        last_at=extent[1],
        profile=content,
        distributions=sketched(sketches(_reference_profile(asked)), found),
    )


def _reference_profile(asked: _Asked) -> bytes:
    """Profile what the window was compared with: of the inputs a sample, and the outputs."""
    from modelyard.monitoring.profile import Profile

    profile = Profile()
    profile.track(asked.reference)
    if asked.outputs is not None:
        profile.track(asked.outputs)
    return profile.to_bytes()


def _check(asked: _Asked, judged: _Judged, window: str, run: str | None) -> DriftCheck:
    from modelyard.monitoring.dating import continued

    check = DriftCheck(
        model=asked.model,
        version=asked.version,
        window=window,
        segment=_name(asked.segment),
        source=judged.source,
        rows=judged.rows,
        first_at=judged.first_at,
        last_at=judged.last_at,
        reference_rows=len(asked.reference),
        alpha=asked.monitor.alpha,
        correction=asked.monitor.correction,
        min_effect=asked.monitor.min_effect,
        drifted=any(verdict.drifted for verdict in judged.verdicts),
        run=run,
        verdicts=tuple(judged.verdicts),
    )
    before = asked.store.verdicts(
        asked.model, limit=1, version=asked.version, window=window, segment=check.segment
    )
    return continued(check, next(iter(before), None))


def _write(
    asked: _Asked, judged: _Judged, check: DriftCheck, destination: Path, home: Path | None
) -> DriftReport:
    from modelyard.monitoring.profile import summarise, write_profile
    from modelyard.monitoring.reports import write_report
    from modelyard.monitoring.reports.gather import report_context

    profile = asked.profile or _reference_profile(asked)
    html = write_report(
        check,
        judged.distributions,
        (summarise(profile), summarise(judged.profile)),
        destination,
        context=report_context(
            asked.store, check, reference=asked.reference, outputs=asked.outputs, home=home
        ),
    )
    beside = destination.with_suffix(".profile.bin")
    write_profile(judged.profile, beside)
    return DriftReport(check=check, html=html, json_file=html.with_suffix(".json"), profile=beside)
