"""A run that an alert started: what it is told, and how its retraining follows it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import DownstreamTasksSkipped
from pydantic import JsonValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.runs import Run
    from modelyard.settings import Settings
    from modelyard.store.monitoring_records import RetrainingRecord

ID = "retraining"

log = logging.getLogger(__name__)


def asked_for(context: Context) -> str | None:
    """Return the retraining that started this run, the newest of several; None if none did."""
    events = context.get("triggering_asset_events") or {}
    told = [
        (event.timestamp, str(event.extra[ID]))
        for of_asset in events.values()
        for event in of_asset
        if event.extra.get(ID)
    ]
    return max(told)[1] if told else None


def begun(
    context: Context, settings: Settings, run: str, after: Sequence[str]
) -> RetrainingRecord | None:
    """Take the retraining that started this run; None if a person or a clock did.

    Raises:
        DownstreamTasksSkipped: another run does it already, so this one has nothing to do.
    """
    from modelyard.retrain import begin

    identity = asked_for(context)
    if identity is None:
        return None
    record = begin(settings, identity, run)
    if record is None:
        log.info("retraining %s is unknown, or another run does it: nothing to do", identity)
        raise DownstreamTasksSkipped(tasks=list(after))
    return record


def told(record: RetrainingRecord, choices: Mapping[str, object]) -> dict[str, object]:
    """What a run is to be begun with: the form's defaults, and the data made for the retraining."""
    from modelyard.retrain import because

    changed = {"revision": record.revision} if record.revision else {}
    return {**choices, **changed, "because": because(record)}


def follow(
    settings: Settings, run: Run, stage: str, artifact: Mapping[str, JsonValue], *, last: bool
) -> None:
    """Write how far the retraining is, if the run is one."""
    from modelyard import retrain

    identity = run.because.get(ID)
    if identity is None or not (last or stage == "register"):
        return
    version = artifact.get("version") if stage == "register" else None
    number = version if isinstance(version, int) else None
    retrain.follow(settings, identity, run.id, version=number, done=last)


def failed(context: Context) -> None:
    """Write that the retraining failed, and why; called when a task is not tried again."""
    from modelyard import retrain
    from modelyard.runs import safe_run_id
    from modelyard.settings import get_settings

    identity = asked_for(context)
    if identity is None:
        return
    task = context["task"]
    run = safe_run_id(f"{task.spec}.{context['run_id']}")
    error = context.get("exception")
    reason = getattr(error, "reason", "") or f"{task.task_id} did not end"
    retrain.follow(get_settings(), identity, run, failed=reason)
