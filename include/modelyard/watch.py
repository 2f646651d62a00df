"""Watch a served model: `run_drift` compares one window, `watch_model` looks at all and keeps alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.errors import MonitoringError
from modelyard.settings import Settings
from modelyard.spec.models import MonitorSpec

if TYPE_CHECKING:
    from modelyard.monitoring.check import DriftReport, Window
    from modelyard.store.database import Store
    from modelyard.store.monitoring_records import AlertEvent, AlertRecord, PerformanceCheck

DEFAULT_WINDOW: Final = 1_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look at a model found, and what follows."""

    model: str
    reports: tuple[DriftReport, ...]
    performance: tuple[PerformanceCheck, ...]
    events: tuple[AlertEvent, ...]
    """What changed."""
    alerts: tuple[AlertRecord, ...]
    """Those that are open now."""
    retrain: AlertRecord | None
    """An open alert of the champion that asks for a retraining; the worst, then the oldest."""
    skipped: tuple[str, ...]
    """What could not be judged, and why."""


def run_drift(  # noqa: PLR0913 - the command's options, all by keyword
    settings: Settings,
    name: str,
    *,
    window: Window = DEFAULT_WINDOW,
    version: int | None = None,
    segment: str | None = None,
    destination: Path | None = None,
    run: str | None = None,
    keep: bool = True,
) -> DriftReport:
    """Compare a model's live inputs with its reference and write the report.

    `version` is the champion's by default, `destination` a new file below ``HOME/reports/``. The
    verdicts are kept in the database, unless `keep` is false.

    Raises:
        MonitoringError: there is no such version, no reference, or too few predictions.
    """
    from modelyard.look import new_report
    from modelyard.monitoring.check import drift
    from modelyard.store.database import open_store
    from modelyard.tracking import registry

    number = version_of(settings, name, version)
    files = registry.download(settings, name, number)
    with open_store(settings.database_url) as store:
        return drift(
            name,
            number,
            reference_folder=files / "reference",
            store=store,
            monitor=monitor_of(settings, name, files),
            window=window,
            destination=destination or new_report(settings, name),
            run=run,
            home=settings.home,
            segment=segment,
            keep=keep,
        )


def watch_model(  # noqa: PLR0913 - what, how much of it, and for whom
    settings: Settings,
    name: str,
    *,
    windows: Sequence[Window] | None = None,
    version: int | None = None,
    run: str | None = None,
    say: Callable[[str], None] = log.info,
) -> Watched:
    """Look at every window of each served version, keep what was found, and change alerts by it.

    Too few predictions are no error: what could not be judged is said, and changes no alert.

    Args:
        settings: Where things are.
        name: The model.
        windows: Those to look at; by default the spec's.
        version: The only version to look at; by default the champion and a challenger with traffic.
            One that is not served raises no alert.
        run: The run that asks.
        say: Is told how far it is.

    Raises:
        MonitoringError: nothing of the model is served.
    """
    from modelyard.look import ENDED_LATELY, Looking
    from modelyard.monitoring.reports.gather import renew_reports
    from modelyard.monitoring.reports.old import prune_reports
    from modelyard.store.database import open_store
    from modelyard.tracking import registry

    with open_store(settings.database_url) as store:
        served = _served(settings, store, name)
        versions = served if version is None else (version,)
        if not versions and not store.alerts(name, open_only=True, limit=1):
            versions = (version_of(settings, name, None),)
        looking = Looking(settings, store, name, run, say)
        monitor = MonitorSpec()
        for number in reversed(versions):
            files = registry.download(settings, name, number)
            monitor = monitor_of(settings, name, files)
            looking.at(number, files / "reference", monitor, windows or monitor.windows)
        if version is not None and version not in served:
            looking.skipped.append(f"version {version} is not served, so it raises no alert")
        events = looking.conclude(served, monitor)
        alerts = tuple(store.alerts(name, open_only=True, limit=ENDED_LATELY))
        try:
            renew_reports(store, [(one.html, one.check) for one in looking.reports], alerts)
        except MonitoringError as error:  # the alerts are kept, whatever becomes of the reports
            looking.skipped.append(error.message)
    prune_reports(settings.home, name, alerts)
    return Watched(
        model=name,
        reports=tuple(looking.reports),
        performance=tuple(looking.performance),
        events=tuple(events),
        alerts=alerts,
        retrain=_asks_retraining(alerts, served[:1], monitor),
        skipped=tuple(looking.skipped),
    )


def watched_models(settings: Settings) -> list[str]:
    """Return the models that are served, and those with open alerts."""
    from modelyard.look import ENDED_LATELY
    from modelyard.store.database import open_store

    with open_store(settings.database_url) as store:
        served = {variant.model for variant in store.variants()}
        alerted = {alert.model for alert in store.alerts(open_only=True, limit=ENDED_LATELY)}
    return sorted(served | alerted)


def _served(settings: Settings, store: Store, name: str) -> tuple[int, ...]:
    """Return the versions that answer requests, the champion first."""
    from modelyard.tracking import registry

    variants = store.variants(name)
    if not variants:
        champion = registry.champion(settings, name)
        return () if champion is None else (champion.version,)
    answering = [one for one in variants if one.role == "champion" or one.weight > 0]
    ordered = sorted(answering, key=lambda one: (one.role != "champion", one.version))
    return tuple(one.version for one in ordered)


def _asks_retraining(
    alerts: Sequence[AlertRecord], champions: Sequence[int], monitor: MonitorSpec
) -> AlertRecord | None:
    """Choose the alert that a retraining is for; always the same one as long as it is the worst."""
    from modelyard.monitoring.alerts.levels import rank

    if monitor.retrain_on is None:
        return None
    least = rank(monitor.retrain_on)
    asking = [one for one in alerts if one.version in champions and rank(one.level) >= least]
    order = sorted(asking, key=lambda one: (-rank(one.level), one.opened, one.onset, one.id))
    return next(iter(order), None)


def version_of(settings: Settings, name: str, version: int | None) -> int:
    """Return the version that is meant: the given one, else the champion.

    Raises:
        MonitoringError: there is no champion.
    """
    from modelyard.tracking import registry

    if version is not None:
        return version
    champion = registry.champion(settings, name)
    if champion is None:
        message = f"{name} has no champion, so nothing is served that could be watched"
        raise MonitoringError(message, hint=f"modelyard run {name}, or name a --version")
    return champion.version


def monitor_of(settings: Settings, name: str, files: Path) -> MonitorSpec:
    """Read how to watch: from the spec as it is today, else from the one that made the version."""
    from modelyard.monitoring import watching

    return watching.monitor_of(name, settings.specs, files)
