"""Retraining that an alert asks for: once an alert, not too soon, not too often."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from modelyard.errors import DataError, SpecError, UsageError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.spec.monitor import LEVELS
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.store.predictions import Labelled, Span
from modelyard.store.records import Moment, Name, now
from modelyard.workspace import Workspace, write_atomically

if TYPE_CHECKING:
    from modelyard.data.labelled import DataRevision
    from modelyard.watch import Watched

PERIOD: Final = timedelta(days=30)
"""The time that the budget is for."""
LOST: Final = timedelta(minutes=15)
"""A retraining that nobody began for so long is asked for again."""
UNDER_WAY: Final = {"asked": timedelta(hours=1), "running": timedelta(days=7)}
"""For how long one that tells nothing stands in the way of another."""

log = logging.getLogger(__name__)


class Refusal(BaseModel):
    """Why an alert that asks for a retraining got none, when last looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name = Field(description="The model's name.")
    alert: Name = Field(description="The alert that asked.")
    at: Moment = Field(default_factory=now, description="When it was refused.")
    reason: str = Field(description="Why, in words.")


@dataclass(frozen=True, slots=True)
class Decision:
    """A retraining that is to begin now, or why there is none."""

    record: RetrainingRecord | None
    reason: str


def ask(settings: Settings, watched: Watched, run: str | None = None) -> RetrainingRecord | None:
    """Ask for the retraining that a watched model's alert wants, and make its data.

    An alert gets one retraining however often this is called; the same `run` gets it again until
    it has begun, so a retry is safe. What is refused is logged, and kept for `last_refusal`.

    Raises:
        StoreError: the database does not answer.
    """
    alert = wanting(settings, watched)
    return None if alert is None else decide(settings, alert, run).record


def wanting(settings: Settings, watched: Watched) -> AlertRecord | None:
    """Choose the alert that a retraining is to be for; None if none is bad enough.

    It is the worst one; if that had its retraining, the first that was opened after it: those
    that were open already are what that retraining was for.
    """
    worst = watched.retrain
    if worst is None:
        return None
    with open_store(settings.database_url) as store:
        known = store.retrainings(watched.model, limit=1000)
    if known and known[0].status == "asked" and known[0].run is None:
        # Nobody took it, so its event was lost; no newer alert may have one before it.
        lost = next((one for one in watched.alerts if one.id == known[0].alert), None)
        if lost is not None:
            return lost
    if all(one.alert != worst.id for one in known):
        return worst
    spec = _spec(settings, watched.model)
    level = None if spec is None else spec.monitor.retrain_on
    if level is None:
        return worst
    enough = LEVELS[LEVELS.index(level) :]
    newer = [
        one
        for one in sorted(watched.alerts, key=lambda alert: (alert.opened, alert.id))
        if one.version == worst.version and one.level in enough and one.opened > known[0].asked
    ]
    return next(iter(newer), worst)


def decide(settings: Settings, alert: AlertRecord, run: str | None = None) -> Decision:
    """Do what `ask` does for one alert, and say why."""
    with open_store(settings.database_url) as store:
        decision = _Asking(settings, store, alert, run).decide()
    log.info("%s: %s", alert.model, decision.reason)
    if decision.record is None:
        refusal = Refusal(model=alert.model, alert=alert.id, reason=decision.reason)
        write_atomically(
            settings.home / "retraining" / f"{alert.model}.json", refusal.model_dump_json()
        )
    return decision


def last_refusal(settings: Settings, model: str) -> Refusal | None:
    """Return why an alert that asks for a retraining got none; None if there is no such alert now."""
    try:
        text = (settings.home / "retraining" / f"{model}.json").read_text(encoding="utf-8")
        refusal = Refusal.model_validate_json(text)
    except (OSError, ValidationError):
        return None
    with open_store(settings.database_url) as store:
        alert = store.alert(refusal.alert)
    return refusal if alert is None or alert.ended is None else None


def begin(settings: Settings, identity: str, run: str) -> RetrainingRecord | None:
    """Let a run do a retraining; None if there is none of this id, or another run does it."""
    with open_store(settings.database_url) as store:
        return store.claim_retraining(identity, run)


def follow(  # noqa: PLR0913 - what may be told of it, by keyword
    settings: Settings,
    identity: str,
    run: str,
    *,
    version: int | None = None,
    done: bool = False,
    failed: str | None = None,
) -> None:
    """Write how far the run of a retraining is; another run's is left alone."""
    with open_store(settings.database_url) as store:
        record = store.retraining(identity)
        if record is None or record.run != run:
            return
        changes: dict[str, object] = {"changed": now()}
        if version is not None:
            changes["version"] = version
        if failed is not None:
            changes |= {"status": "failed", "reason": failed}
        elif done:
            changes |= {"status": "done", "reason": _outcome(record)}
        store.save_retraining(record.model_copy(update=changes))


def because(record: RetrainingRecord) -> dict[str, str]:
    """Say why the run of a retraining is, for its tags."""
    return {"alert": record.alert, "retraining": record.id}


def _outcome(record: RetrainingRecord) -> str:
    if record.version is not None and record.version == record.evidence.get("champion"):
        return (
            f"version {record.version} came out again: neither the spec nor its data have changed"
        )
    return f"version {record.version} is registered; its rollout decides the rest"


class _Asking:
    """One decision."""

    def __init__(
        self, settings: Settings, store: Store, alert: AlertRecord, run: str | None
    ) -> None:
        self._settings = settings
        self._store = store
        self._alert = alert
        self._run = run
        self._known = store.retrainings(alert.model, limit=1000)

    def decide(self) -> Decision:
        spec = _spec(self._settings, self._alert.model)
        if spec is None:
            return Decision(None, f"there is no valid spec {self._alert.model} to train")
        own = next((one for one in self._known if one.alert == self._alert.id), None)
        reason = self._in_the_way(spec) if own is None else self._had(own)
        if reason is not None:
            return Decision(None, reason)
        if spec.monitor.retrain.data == "spec":
            return self._ask(spec, own)
        return self._with_labels(spec, own)

    def _had(self, own: RetrainingRecord) -> str | None:
        """Why an alert's own retraining does not begin again; None if nobody has begun it yet."""
        waits = own.status == "asked" and own.run is None
        mine = self._run is not None and own.evidence.get("asked_by") == self._run
        if waits and (mine or now() - own.changed >= LOST):
            return None
        return f"alert {self._alert.id} had its retraining, which is {own.status}"

    def _in_the_way(self, spec: Spec) -> str | None:
        for one in self._known:
            limit = UNDER_WAY.get(one.status)
            if limit is None:
                continue
            if now() - one.changed < limit:
                return f"another retraining is {one.status} since {one.changed:%Y-%m-%d %H:%M} UTC"
            self._lost(one, f"nothing was heard of it since {one.changed:%Y-%m-%d %H:%M} UTC")
        rollout = self._store.rollout(self._alert.model)
        if rollout is not None:
            return f"version {rollout.version} is on its way to take over ({rollout.status})"
        return _too_often(spec, self._known)

    def _with_labels(self, spec: Spec, own: RetrainingRecord | None) -> Decision:
        from modelyard.data.labelled import addition

        if own is not None and own.revision is not None:
            return self._ask(spec, own)
        asked: Decision | None = None
        try:
            with addition(spec, Workspace(self._settings), self._labelled(), _observed) as new:
                if own is None:
                    new.require(spec.monitor.retrain.min_labels)
                asked = self._ask(spec, own)
                if asked.record is None:
                    return asked
                made = new.record({"Modelyard-Alert": self._alert.id}, asked.record.id)
        except DataError as error:
            mine = own if asked is None else asked.record
            return Decision(None, str(error)) if mine is None else self._lost(mine, str(error))
        return self._with_revision(asked.record, made)

    def _lost(self, record: RetrainingRecord, reason: str) -> Decision:
        """Let a retraining end that cannot begin, so that it is in nobody's way."""
        changes = {"status": "failed", "reason": reason, "changed": now()}
        self._store.save_retraining(record.model_copy(update=changes))
        return Decision(None, f"alert {record.alert}: {reason}")

    def _with_revision(self, record: RetrainingRecord, made: DataRevision) -> Decision:
        evidence: dict[str, JsonValue] = {
            **record.evidence,
            "content_hash": made.content_hash,
            "branch": made.branch,
            "remote": made.pushed,
        }
        update = {"revision": made.commit, "rows": made.rows, "evidence": evidence}
        whole = record.model_copy(update=update)
        self._store.save_retraining(whole)
        reason = (
            f"alert {record.alert} starts a retraining, {made.rows:,} labelled predictions added"
        )
        return Decision(whole, reason)

    def _labelled(self) -> Iterator[Sequence[Labelled]]:
        """Read what all versions answered and got labels for, the newest version's first."""
        served = [one.version for one in self._store.variants(self._alert.model)]
        for version in range(max([self._alert.version, *served]), 0, -1):
            yield from self._store.labelled(self._alert.model, version, Span())

    def _ask(self, spec: Spec, own: RetrainingRecord | None) -> Decision:
        rules = spec.monitor.retrain
        again = f"alert {self._alert.id}: its retraining has not begun yet and is asked for again"
        if own is not None:
            return Decision(own, again)
        wanted = RetrainingRecord(
            model=self._alert.model,
            alert=self._alert.id,
            reason=self._alert.reason,
            evidence={
                "asked_by": self._run,
                "level": self._alert.level,
                "champion": self._alert.version,
            },
        )
        said = self._store.ask_retraining(
            wanted,
            cooled=wanted.asked - timedelta(hours=rules.cooldown_hours),
            budget=(wanted.asked - PERIOD, rules.budget),
        )
        if said == "asked":
            return Decision(
                wanted, f"alert {self._alert.id} ({self._alert.level}) starts a retraining"
            )
        # Somebody asked between our look and our question.
        return Decision(None, f"another retraining was asked for at the same moment ({said})")


def _spec(settings: Settings, model: str) -> Spec | None:
    from modelyard.spec.load import load_spec, resolve

    try:
        return load_spec(resolve(model, settings.specs))
    except (UsageError, SpecError):
        return None


def _too_often(spec: Spec, known: Sequence[RetrainingRecord]) -> str | None:
    """Why cool-down or budget forbid a retraining now, and until when; `known` is newest first."""
    rules, moment = spec.monitor.retrain, now()
    if known and known[0].asked > moment - timedelta(hours=rules.cooldown_hours):
        until = known[0].asked + timedelta(hours=rules.cooldown_hours)
        return f"it cools down until {_spelt(until)} (monitor.retrain.cooldown_hours: {rules.cooldown_hours:g})"
    lately = [one for one in known if one.asked > moment - PERIOD]
    if len(lately) >= rules.budget:
        until = lately[rules.budget - 1].asked + PERIOD
        return f"the budget of 30 days is spent until {_spelt(until)} (monitor.retrain.budget: {rules.budget})"
    return None


def _spelt(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _observed(kind: str, value: object) -> object:
    from modelyard.monitoring.observe import measure_of

    return measure_of(kind)(value)[""]
