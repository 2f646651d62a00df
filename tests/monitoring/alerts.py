"""Findings and looks as the tests of alerts make them; a model whose alerts are followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from modelyard.monitoring.alerts.levels import Finding
from modelyard.monitoring.alerts.lifecycle import Look, decide
from modelyard.spec.monitor import Level, MonitorSpec
from modelyard.store.monitoring_records import AlertEvent, AlertRecord

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = {"1000": 1_000, "10000": 10_000, "all": 100_000}
VALUES = {None: 0.02, "warning": 0.15, "critical": 0.3, "immediate": 0.6}


def finding(
    level: Level | None, number: int = 0, window: str = "1000", **changes: object
) -> Finding:
    """What one window says in the look of one hour; one prediction comes in a second and a half."""
    last_at = START + number * HOUR
    made = Finding(
        version=1,
        kind="drift",
        subject="size",
        segment="",
        window=window,
        rows=ROWS[window],
        first_at=last_at - ROWS[window] * timedelta(seconds=1.5),
        last_at=last_at,
        level=level,
        value=VALUES[level],
        small=level is None,
        reason="" if level is None else f"size differs: {level}",
        check=f"check-{number}-{window}",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Followed:
    """A model's alerts, look after look, as the database would keep them."""

    monitor: MonitorSpec = field(default_factory=MonitorSpec)
    served: frozenset[int] = frozenset({1})
    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    events: list[AlertEvent] = field(default_factory=list)

    @property
    def open(self) -> list[AlertRecord]:
        return [one for one in self.alerts.values() if one.ended is None]

    @property
    def changes(self) -> list[str]:
        return [one.change for one in self.events]

    def look(
        self, findings: Sequence[Finding], number: int = 0, segments: Sequence[str] = ("",)
    ) -> list[AlertEvent]:
        """Look once, an hour after the look before."""
        look = Look(
            model="clinic",
            at=START + number * HOUR + timedelta(minutes=1),
            served=self.served,
            findings=findings,
            monitor=self.monitor,
            segments={1: frozenset(segments)},
        )
        ended = [one for one in self.alerts.values() if one.ended is not None]
        alerts, events = decide(self.open, ended, look)
        self.alerts.update({one.id: one for one in alerts})
        self.events += events
        return events

    def follow(self, levels: Sequence[Level | None], window: str = "1000") -> list[str]:
        """Look once an hour at one window; return what happened in each look."""
        told = []
        for number, level in enumerate(levels):
            events = self.look([finding(level, number, window)], number)
            told.append(" ".join(one.change for one in events) or "-")
        return told
