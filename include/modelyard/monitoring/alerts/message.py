"""What people, and programs, are told of a change of an alert."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from modelyard.monitoring.alerts.levels import rank
from modelyard.spec.monitor import Level
from modelyard.store.monitoring_records import AlertEvent, AlertRecord

LONGEST_TITLE: Final = 150
MOST_LISTED: Final = 50
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
KINDS: Final = {"drift": "drift", "performance": "performance", "estimate": "estimated performance"}
DRIFT_ADVICE: Final = (
    "Open the report. If the inputs are broken, mend where they come from; if the world has changed,"
    " train on newer data: modelyard run {model}"
)
METRIC_ADVICE: Final = (
    "Compare with the drift of the inputs: modelyard drift {model}. Train on newer data"
    " (modelyard run {model}), or go back to an earlier version: modelyard models rollback {model}"
)
ESTIMATE_ADVICE: Final = (
    "No labels say so yet: send some to /models/{model}/feedback to be sure, and look at the drift of"
    " the inputs: modelyard drift {model}"
)


@dataclass(frozen=True, slots=True)
class Links:
    """Where more stands."""

    alerts: str
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One change of one alert in words."""

    event: AlertEvent
    alert: AlertRecord
    links: Links

    @property
    def title(self) -> str:
        """What, where, how bad, in one line."""
        alert, event = self.alert, self.event
        how = {"opened": event.level, "ended": "ended"}.get(
            event.change, f"{event.change} to {event.level}"
        )
        where = f" where {alert.segment}" if alert.segment else ""
        text = (
            f"[{how}] {alert.model} {alert.version}: {KINDS[alert.kind]} of {alert.subject}{where}"
        )
        text = one_line(text)
        return text if len(text) <= LONGEST_TITLE else text[: LONGEST_TITLE - 1] + "\u2026"

    @property
    def body(self) -> str:
        """The rest: since when, what shows it, what to do, and where to look."""
        alert = self.alert
        rows = [
            ("model", f"{alert.model}, version {alert.version}"),
            ("level", f"{self.event.level}" + self._worst()),
            ("since", f"{_moment(alert.onset)}, first seen {_moment(alert.opened)}"),
            *([("ended", f"{_moment(alert.ended)}: {alert.ending}")] if alert.ended else []),
            ("windows", ", ".join(alert.windows)),
            *([("report", self.links.report)] if self.links.report else []),
            ("alerts", self.links.alerts),
        ]
        lines = [f"{name:<8} {one_line(str(value))}" for name, value in rows]
        told = [one_line(alert.reason), "", *lines, ""]
        if alert.ended is None:
            told += [self.advice, f"Take note of it: modelyard alerts ack {alert.id}", ""]
        return "\n".join([*told, f"event    {self.event.id}"])

    @property
    def advice(self) -> str:
        """What to do."""
        texts = {"drift": DRIFT_ADVICE, "performance": METRIC_ADVICE, "estimate": ESTIMATE_ADVICE}
        return texts[self.alert.kind].format(model=self.alert.model)

    @property
    def is_over(self) -> bool:
        """Whether the alert has ended since."""
        return self.alert.ended is not None

    @property
    def level(self) -> Level:
        """How bad it is after the change."""
        return self.event.level

    def document(self) -> dict[str, JsonValue]:
        """Write it for programs; a second document of one event's id says nothing new."""
        event = self.event.model_dump(
            mode="json", include={"id", "alert", "model", "at", "change", "level"}
        )
        return {
            "event": event,
            "alert": self.alert.model_dump(mode="json", exclude={"eased", "gone"}),
            "title": self.title,
            "message": self.body,
            "links": {"alerts": self.links.alerts, "report": self.links.report},
        }

    def _worst(self) -> str:
        alert = self.alert
        return "" if alert.worst == self.event.level else f", at its worst {alert.worst}"


@dataclass(frozen=True, slots=True)
class Digest:
    """Several changes of one look at a model in one text, for people; at least two."""

    messages: Sequence[Message]

    @property
    def title(self) -> str:
        """How many, where, how bad the worst is."""
        model, how = self.messages[0].alert.model, "ended" if self.is_over else self.level
        return one_line(f"[{how}] {model}: {len(self.messages)} changes of alerts")[:LONGEST_TITLE]

    @property
    def body(self) -> str:
        """Each change, the worst first, then what to do, and where to look."""
        ordered = sorted(self.messages, key=lambda one: (one.is_over, -rank(one.level)))
        told = [line for one in ordered[:MOST_LISTED] for line in _entry(one)]
        if len(ordered) > MOST_LISTED:
            told += [f"... and {len(ordered) - MOST_LISTED} more", ""]
        advice = dict.fromkeys(one.advice for one in ordered if not one.is_over)
        reports = dict.fromkeys(one.links.report for one in ordered if one.links.report)
        told += [f"report   {one_line(report)}" for report in reports]
        return "\n".join([*told, f"alerts   {one_line(ordered[0].links.alerts)}", "", *advice])

    @property
    def is_over(self) -> bool:
        """Whether all of them have ended."""
        return all(one.is_over for one in self.messages)

    @property
    def level(self) -> Level:
        """The worst of those that are not over, or of all."""
        lasting = [one for one in self.messages if not one.is_over] or self.messages
        return max((one.level for one in lasting), key=rank)


def _entry(message: Message) -> list[str]:
    """Tell one change among several."""
    alert = message.alert
    lines = [message.title, f"    {one_line(alert.reason)}"]
    if message.is_over:
        lines.append(
            f"    ended {_moment(alert.ended or alert.seen)}: {one_line(alert.ending or '')}"
        )
    else:
        lines.append(f"    since {_moment(alert.onset)}; modelyard alerts ack {alert.id}")
    return [*lines, ""]


def one_line(text: str) -> str:
    """Keep names that people gave from breaking lines, headers or the reading direction."""
    return UNPRINTABLE.sub(" ", text).strip()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
