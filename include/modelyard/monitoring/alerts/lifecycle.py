"""The life of an alert: open alerts and what a look at the model found become changes. Pure.

An alert is about one subject of one version, whatever number of windows show it.

- It **opens** as soon as one window shows it. How bad it is now is what the shortest window that
  shows it says, for that one has the newest predictions.
- It **rises** at once. It is **lowered**, or **ends**, when two looks in a row, the second with newer
  predictions than the first, find it so: what alternates stays open, and looking twice at the same
  predictions changes nothing.
- It is **gone** when the shortest of its windows is clear, though longer ones still hold the old
  predictions; unless the short one only lacks the rows to be sure of an effect that is there.
- After its end, longer windows that reach back before that end open nothing: they show what was.
- What could not be judged changes nothing. An ended alert never changes.
- An alert of a version that is no longer served, or of what the spec no longer watches, ends; so
  does an estimate once labels tell the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from modelyard.monitoring.alerts.levels import Finding, Key, key_of, rank
from modelyard.monitoring.alerts.notify import is_told
from modelyard.spec.monitor import LEVELS, MonitorSpec
from modelyard.store.monitoring_records import AlertChange, AlertEvent, AlertRecord

CLEAR: Final = "two looks in a row did not show it"
UNWATCHED: Final = "the spec no longer watches it"
LABELLED: Final = "labels tell it now"
BY_DEFAULT: Final = (".accuracy", ".rmse")

type Change = tuple[AlertRecord, AlertChange | None]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a model: what was found, and what counts at all."""

    model: str
    at: datetime
    served: frozenset[int]
    """The versions that answer requests."""
    findings: Sequence[Finding]
    monitor: MonitorSpec
    segments: Mapping[int, frozenset[str]]
    """The watched segments of each version that was looked at; empty text is all rows."""
    run: str | None = None


def decide(
    known: Sequence[AlertRecord], ended: Iterable[AlertRecord], look: Look
) -> tuple[list[AlertRecord], list[AlertEvent]]:
    """Say which alerts to write, and what happened to them.

    Args:
        known: The model's open alerts.
        ended: Those that ended lately.
        look: What was found.
    """
    found = _by_key(look, ended)
    changes = [_follow(alert, found.pop(key_of(alert), []), look) for alert in known]
    for (version, *_), findings in found.items():
        if version in look.served and any(one.level for one in findings):
            changes.append((_opened(findings, look), "opened"))
    before = {alert.id: alert for alert in known}
    alerts = [alert for alert, _ in changes if before.get(alert.id) != alert]
    events = [_event(alert, change, look) for alert, change in changes if change is not None]
    return alerts, events


def _by_key(look: Look, ended: Iterable[AlertRecord]) -> dict[Key, list[Finding]]:
    """Sort findings by what they are about, the shortest window first, without what is over."""
    found: dict[Key, list[Finding]] = {}
    for finding in sorted(look.findings, key=lambda one: (one.rows, one.window)):
        found.setdefault(finding.key, []).append(finding)
    for alert in sorted(ended, key=lambda one: one.ended or one.opened):
        if key_of(alert) in found:
            found[key_of(alert)] = _after(alert, found[key_of(alert)], look.monitor)
    return {key: findings for key, findings in found.items() if findings}


def _after(alert: AlertRecord, findings: Sequence[Finding], monitor: MonitorSpec) -> list[Finding]:
    """Leave out windows that show what ended: longer than its shortest, and begun before its end."""
    end, own = alert.ended, _still_judged(alert, monitor)
    if end is None or not own:
        return list(findings)
    shortest = next((one.rows for one in findings if one.window == own[0]), 0)
    return [
        replace(one, since=max(one.since or one.first_at, end))
        for one in findings
        if one.first_at >= end or one.rows <= shortest
    ]


def _follow(alert: AlertRecord, findings: Sequence[Finding], look: Look) -> Change:
    if alert.version not in look.served:
        return _ended(alert, look.at, f"version {alert.version} is no longer served")
    if not findings:
        over = _over(alert, look)
        return _ended(alert, look.at, over) if over else (alert, None)
    deciding = _deciding(alert, findings, look.monitor)
    shown = [one for one in findings if one.level is not None]
    if deciding is not None and _is_clear(deciding, shown):
        return _missed(alert, deciding.last_at)
    return _seen(alert, shown, findings, look) if shown else (alert, None)


def _deciding(
    alert: AlertRecord, findings: Sequence[Finding], monitor: MonitorSpec
) -> Finding | None:
    """Return the shortest of the alert's windows, or of all where the spec has none of its any more."""
    own = _still_judged(alert, monitor)
    if not own:
        return findings[0]
    return next((one for one in findings if one.window in alert.windows), None)


def _still_judged(alert: AlertRecord, monitor: MonitorSpec) -> list[str]:
    """Return the alert's windows that the spec still has, the shortest first."""
    judged = {str(window) for window in monitor.windows}
    return [window for window in alert.windows if window in judged]


def _is_clear(deciding: Finding, shown: Sequence[Finding]) -> bool:
    if deciding.level is not None or any(one.rows <= deciding.rows for one in shown):
        return False
    return deciding.small or not shown


def _over(alert: AlertRecord, look: Look) -> str | None:
    """Say why nothing was found of an alert if that is how it will stay; None if it may come."""
    segments = look.segments.get(alert.version)
    if segments is None:
        return None
    if alert.segment not in segments:
        return UNWATCHED
    metrics = look.monitor.metrics
    watched = alert.subject in metrics if metrics else alert.subject.endswith(BY_DEFAULT)
    if alert.kind != "drift" and not watched:
        return UNWATCHED
    if alert.kind == "estimate":
        known: Key = (alert.version, "performance", alert.subject, alert.segment)
        if any(one.key == known for one in look.findings):
            return LABELLED
        return None if look.monitor.estimate else UNWATCHED
    return None


def _missed(alert: AlertRecord, moment: datetime) -> Change:
    """A look did not show it: the second one in a row, with newer predictions, is the end."""
    if alert.gone is None:
        return alert.model_copy(update={"gone": moment, "eased": alert.eased or moment}), None
    if moment <= alert.gone:
        return alert, None
    return _ended(alert, alert.gone, CLEAR)


def _seen(
    alert: AlertRecord, shown: Sequence[Finding], findings: Sequence[Finding], look: Look
) -> Change:
    level = shown[0].level
    windows = _windows(alert, shown, findings)
    seen = alert.model_copy(update={**_shown(shown, look, alert), "windows": windows, "gone": None})
    difference = rank(level) - rank(alert.level)
    if difference > 0:
        worst = LEVELS[max(rank(level), rank(alert.worst)) - 1]
        return seen.model_copy(update={"level": level, "worst": worst, "eased": None}), "raised"
    if difference == 0:
        return seen.model_copy(update={"eased": None}), None
    if alert.eased is None:
        return seen.model_copy(update={"eased": shown[0].last_at}), None
    if shown[0].last_at <= alert.eased:
        return seen, None
    return seen.model_copy(update={"level": level, "eased": None}), "lowered"


def _windows(
    alert: AlertRecord, shown: Sequence[Finding], findings: Sequence[Finding]
) -> tuple[str, ...]:
    """Return the windows that show it, and those that did and have not been found clear since."""
    rows = {one.window: one.rows for one in findings}
    clear = {one.window for one in findings if one.level is None and one.small}
    kept = {*(one.window for one in shown), *(set(alert.windows) - clear)}
    return tuple(sorted(kept, key=lambda window: (rows.get(window, _length(window)), window)))


def _length(window: str) -> float:
    """Return how long a window is that was not judged, for the order."""
    return float(window) if window.isdecimal() else float("inf")


def _opened(findings: Sequence[Finding], look: Look) -> AlertRecord:
    shown = [one for one in findings if one.level is not None]
    first = shown[0]
    return AlertRecord.model_validate(
        {
            "model": look.model,
            **dict(zip(("version", "kind", "subject", "segment"), first.key, strict=True)),
            "level": first.level,
            "worst": first.level,
            "opened": look.at,
            "run": look.run,
            **_shown(shown, look, None),
        }
    )


def _shown(shown: Sequence[Finding], look: Look, alert: AlertRecord | None) -> dict[str, Any]:
    """What a look that shows an alert writes of it, whatever its level."""
    first = shown[0]
    since = [one.since for one in shown if one.since is not None]
    known = [alert.onset] if alert is not None else []
    return {
        "value": first.value,
        "peak": max([*(one.value for one in shown), *([alert.peak] if alert else [])]),
        "windows": tuple(one.window for one in shown),
        "reason": first.reason,
        "onset": min([*known, *since], default=first.first_at),
        "seen": look.at,
        "check": first.check,
        "report": first.report,
    }


def _ended(alert: AlertRecord, moment: datetime, ending: str) -> Change:
    ended = {"ended": max(moment, alert.onset), "ending": ending}
    return alert.model_copy(update=ended), "ended"


def _event(alert: AlertRecord, change: AlertChange, look: Look) -> AlertEvent:
    return AlertEvent(
        alert=alert.id,
        model=alert.model,
        at=look.at,
        change=change,
        level=alert.level,
        deliver=is_told(alert, change, look.monitor.notify),
    )
