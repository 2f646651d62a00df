"""Which changes of alerts people are told."""

from __future__ import annotations

from modelyard.monitoring.alerts.levels import rank
from modelyard.spec.monitor import Level
from modelyard.store.monitoring_records import AlertChange, AlertRecord


def is_told(alert: AlertRecord, change: AlertChange, notify: Level | None) -> bool:
    """Say whether a change is delivered: openings, rises, and the end of what was told.

    Of an alert that a person took note of, only a rise is.
    """
    if notify is None:
        return False
    if change == "raised":
        return rank(alert.level) >= rank(notify)
    if alert.acknowledged is not None:
        return False
    if change == "opened":
        return rank(alert.level) >= rank(notify)
    return change == "ended" and rank(alert.worst) >= rank(notify)
