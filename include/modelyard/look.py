"""One look at a model: every window and segment of its versions, and the alerts that follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.errors import MonitoringError
from modelyard.monitoring.alerts.levels import Finding, drift_findings, performance_findings
from modelyard.monitoring.alerts.lifecycle import Look, decide
from modelyard.monitoring.check import DriftReport, drift
from modelyard.monitoring.segments import OTHERS, read_segmentation
from modelyard.settings import Settings
from modelyard.spec.monitor import MonitorSpec
from modelyard.store.monitoring_records import AlertEvent, PerformanceCheck
from modelyard.store.records import now

if TYPE_CHECKING:
    from modelyard.monitoring.window import Window
    from modelyard.store.database import Store

ENDED_LATELY: Final = 1_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """What one comparison is of."""

    version: int
    reference: Path
    monitor: MonitorSpec
    window: Window
    segment: str | None

    def __str__(self) -> str:
        return f"window {self.window}" + (f" where {self.segment}" if self.segment else "")


@dataclass(slots=True)
class Looking:
    """One look, as it goes on."""

    settings: Settings
    store: Store
    model: str
    run: str | None
    say: Callable[[str], None]
    reports: list[DriftReport] = field(default_factory=list)
    performance: list[PerformanceCheck] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    segments: dict[int, frozenset[str]] = field(default_factory=dict)

    def at(
        self, version: int, reference: Path, monitor: MonitorSpec, windows: Sequence[Window]
    ) -> None:
        """Judge the windows of one version; what cannot be judged is said in `skipped`."""
        segments = self._segments(version, reference, monitor)
        self.segments[version] = frozenset(["", *segments])
        for segment in (None, *segments):
            for window in windows:
                place = Place(version, reference, monitor, window, segment)
                self._drift(place)
                self._measure(place)

    def conclude(self, served: Sequence[int], monitor: MonitorSpec) -> Sequence[AlertEvent]:
        """Change the model's alerts by what was found; `served` are the versions that answer."""
        look = Look(
            model=self.model,
            at=now(),
            served=frozenset(served),
            findings=self.findings,
            monitor=monitor,
            segments=self.segments,
            run=self.run,
        )
        known = self.store.alerts(self.model, limit=ENDED_LATELY)
        ended = [alert for alert in known if alert.ended is not None]
        return self.store.change_alerts(self.model, lambda known: decide(known, ended, look))

    def _segments(self, version: int, reference: Path, monitor: MonitorSpec) -> tuple[str, ...]:
        """Name the segments that can be compared: those of single values."""
        if monitor.segment_by is None:
            return ()
        found = read_segmentation(reference, monitor.segment_by)
        if found is None:
            self._skip(version, f"the reference has no column {monitor.segment_by} (segment_by)")
            return ()
        return tuple(name for name in found.names if not name.endswith(f"={OTHERS}"))

    def _drift(self, place: Place) -> None:
        self.say(f"{self.model} version {place.version}: drift, {place}")
        home = self.settings.home
        try:
            report = drift(
                self.model,
                place.version,
                reference_folder=place.reference,
                store=self.store,
                monitor=place.monitor,
                window=place.window,
                destination=new_report(self.settings, self.model),
                run=self.run,
                home=home,
                segment=place.segment,
            )
        except MonitoringError as error:
            self._skip(place.version, f"drift, {place}: {error.message}")
            return
        self.reports.append(report)
        html = report.html
        where = str(html.relative_to(home) if html.is_relative_to(home) else html)
        self.findings += drift_findings(report.check, place.monitor, where)

    def _measure(self, place: Place) -> None:
        from modelyard.monitoring.performance import measure

        self.say(f"{self.model} version {place.version}: performance, {place}")
        try:
            checks = measure(
                self.model,
                place.version,
                reference_folder=place.reference,
                store=self.store,
                monitor=place.monitor,
                window=place.window,
                run=self.run,
                segment=place.segment,
            )
        except MonitoringError as error:
            self._skip(place.version, f"performance, {place}: {error.message}")
            return
        for check in checks:
            self.store.save_performance(check)
            self.performance.append(check)
            self.findings += performance_findings(check, place.monitor)

    def _skip(self, version: int, why: str) -> None:
        text = f"version {version}, {why}"
        log.info("%s: %s", self.model, text)
        self.skipped.append(text)


def new_report(settings: Settings, model: str) -> Path:
    """Name a new report below the home folder, by the moment."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"[:-3]
    return settings.home / "reports" / model / f"drift-{stamp}Z.html"
