"""The page of drift: verdicts over time, alerts, performance, reports, retrainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelyard.errors import ModelyardError
from modelyard.settings import Settings
from modelyard.spec.load import find_specs, load_spec
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import (
    AlertRecord,
    DriftCheck,
    RetrainingRecord,
)
from modelyard_ui import reports
from modelyard_ui.charts import Chart, charts
from modelyard_ui.heat import MOST_CHECKS, Strip, strip

MOST_ALERTS: Final = 30
MOST_LOOKS: Final = 120
MOST_RETRAININGS: Final = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """What is looked at, and what else there is."""

    model: str
    version: int | None
    window: str | None
    segment: str | None
    versions: tuple[int, ...] = ()
    windows: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert and where its report is."""

    alert: AlertRecord
    report: str | None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The strip, and the newest comparison whole."""

    strip: Strip
    newest: DriftCheck


def choose(
    store: Store,
    model: str,
    version: int | None = None,
    window: str | None = None,
    segment: str | None = None,
) -> Choice:
    """Fill in what was left open or is not there: the champion, the first window, all rows."""
    views = store.drift_views(model)
    versions = tuple(dict.fromkeys(one for one, _, _ in views))
    if version not in versions:
        serves = [one.version for one in store.variants(model) if one.role == "champion"]
        version = next((one for one in [*serves, *versions] if one in versions), None)
    windows = tuple(sorted({win for one, win, _ in views if one == version}, key=_size))
    if window not in windows:
        window = next(iter(windows), None)
    of_window = {seg for one, win, seg in views if (one, win) == (version, window)}
    segments = tuple(sorted(of_window))
    if segment not in segments:
        segment = next(iter(segments), None)
    return Choice(model, version, window, segment, versions, windows, segments)


def _size(window: str) -> tuple[int, int, str]:
    return (0, int(window), "") if window.isdecimal() else (1, 0, window)


def verdicts(store: Store, choice: Choice, monitor: MonitorSpec) -> Verdicts | None:
    """Return the comparisons of what was chosen; None if there are none."""
    if choice.version is None:
        return None
    found = store.verdicts(
        choice.model,
        MOST_CHECKS,
        version=choice.version,
        window=choice.window,
        segment=choice.segment,
    )
    return Verdicts(strip(found, monitor.drift_levels), found[0]) if found else None


def performance(store: Store, choice: Choice, monitor: MonitorSpec) -> list[Chart]:
    """Draw how good the answers were, of all rows or of the segment that was chosen."""
    found = store.performance(
        choice.model,
        version=choice.version,
        window=choice.window,
        segment=choice.segment,
        limit=MOST_LOOKS,
    )
    return charts(found, monitor.levels)


def alerts(store: Store, settings: Settings, model: str) -> list[AlertRow]:
    """List the model's alerts, open ones first."""
    found = store.alerts(model, limit=MOST_ALERTS)
    return [AlertRow(one, reports.link_of_alert(settings, one.report)) for one in found]


def retrainings(store: Store, model: str) -> Sequence[RetrainingRecord]:
    """List the model's last retrainings, the newest first."""
    return store.retrainings(model, limit=MOST_RETRAININGS)


def monitor_of(settings: Settings, model: str) -> MonitorSpec:
    """Read how a model is watched; the defaults where its spec is gone or broken."""
    path = next((one for one in find_specs(settings.specs) if one.stem == model), None)
    try:
        return MonitorSpec() if path is None else load_spec(path).monitor
    except ModelyardError:
        return MonitorSpec()
