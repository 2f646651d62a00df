"""What the DAG `monitoring` does: watch every served model, tell people, and ask for retrainings.

All models are watched by one task: a process costs more to start than a model to look at.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias, get_current_context
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from pydantic import JsonValue

from modelyard.errors import ModelyardError, MonitoringError, UsageError
from modelyard_dags.assets import drift_asset, retrain_asset
from modelyard_dags.operators import PASSING, refusals_told

if TYPE_CHECKING:
    from modelyard.settings import Settings
    from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
    from modelyard.watch import Watched

DRIFT = AssetAlias("any_drift")
RETRAIN = AssetAlias("any_retraining")
WATCH, DELIVER, RETRAINING = "watch", "deliver", "retrain"

TIME = re.compile(r"([1-9][0-9]{0,5})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

type Found = dict[str, JsonValue]

log = logging.getLogger(__name__)


def schedule_of(text: str) -> str | timedelta:
    """Read how often: a time such as 30s, 10m, 2h or 1d; anything else is left to Airflow."""
    found = TIME.fullmatch(text)
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]]) if found else text


def watch() -> None:
    """Look at every served model; what comes after is skipped where there is nothing for it."""
    from modelyard.settings import get_settings
    from modelyard.watch import watched_models

    context, settings = get_current_context(), get_settings()
    with refusals_told():
        only = context["params"].get("model")
        models = [only] if only else watched_models(settings)
        if not models:
            message = "nothing is served, so there is nothing to watch"
            raise AirflowSkipException(message)
        found: dict[str, Found] = {}
        try:
            _each(models, lambda model: found.update({model: _watch(context, settings, model)}))
        finally:
            wanted = {model: one["retrain"] for model, one in found.items() if one["retrain"]}
            told: Found = {"models": list(found.values()), "retrain": wanted}
            context["ti"].xcom_push("return_value", told)
        unwanted = [] if wanted else [RETRAINING]
        if not settings.notify or not _waiting(settings):
            unwanted.append(DELIVER)
    if unwanted:
        raise DownstreamTasksSkipped(tasks=unwanted)


def deliver() -> int:
    """Tell people what changed of alerts; what cannot be delivered is tried again next time."""
    from modelyard.delivery import deliver as send
    from modelyard.settings import get_settings

    with refusals_told():
        return len(send(get_settings()))


def retrain() -> dict[str, str]:
    """Ask for each retraining that an alert wants; one that may begin is an event of an asset."""
    from modelyard.settings import get_settings

    context, settings = get_current_context(), get_settings()
    wanted = (context["ti"].xcom_pull(task_ids=WATCH) or {}).get("retrain", {})
    said: dict[str, str] = {}
    with refusals_told():
        _each(wanted, lambda model: said.update({model: _ask(context, settings, wanted[model])}))
    return said


def _watch(context: Context, settings: Settings, model: str) -> Found:
    from modelyard.retrain import wanting
    from modelyard.watch import watch_model

    try:
        watched = watch_model(settings, model, windows=_windows(context), run=context["run_id"])
    except MonitoringError as error:
        log.info("%s: %s", model, error)
        return {"model": model, "skipped": [str(error)], "retrain": None}
    found = _told(watched, wanting(settings, watched))
    if found["drifted"]:
        context["outlet_events"][DRIFT].add(drift_asset(model), extra=found)
    return found


def _told(watched: Watched, retrain: AlertRecord | None) -> Found:
    checks = [report.check for report in watched.reports]
    drifted = {verdict.column for check in checks for verdict in check.verdicts if verdict.drifted}
    return {
        "model": watched.model,
        "versions": [*sorted({check.version for check in checks})],
        "checks": [check.id for check in checks],
        "drifted": [*sorted(drifted)],
        "alerts": {alert.id: f"{alert.level}: {alert.reason}" for alert in watched.alerts},
        "changed": [f"{event.change} {event.alert}" for event in watched.events],
        "skipped": [*watched.skipped],
        "retrain": None if retrain is None else retrain.id,
    }


def _windows(context: Context) -> list[Any] | None:
    """The one window of the trigger form; None is those of each spec."""
    window = context["params"].get("window")
    if not window:
        return None
    return [int(window) if str(window).isdecimal() else window]


def _waiting(settings: Settings) -> bool:
    from modelyard.store.database import open_store

    with open_store(settings.database_url) as store:
        return bool(store.alert_events(waiting=True, limit=1))


def _ask(context: Context, settings: Settings, identity: str) -> str:
    from modelyard.retrain import decide
    from modelyard.store.database import open_store

    with open_store(settings.database_url) as store:
        alert = store.alert(identity)
    if alert is None:
        message = f"there is no alert {identity} any more"
        raise UsageError(message)
    decision = decide(settings, alert, context["run_id"])
    if decision.record is not None:
        asset = retrain_asset(alert.model)
        context["outlet_events"][RETRAIN].add(asset, extra=_extra(decision.record))
    return decision.reason


def _extra(record: RetrainingRecord) -> Found:
    return {
        "model": record.model,
        "retraining": record.id,
        "alert": record.alert,
        "revision": record.revision,
    }


def _each(models: Iterable[str], act: Callable[[str], None]) -> None:
    """Do something for each model; one that fails keeps no other from its turn.

    Raises:
        ModelyardError: the first failure, after all had their turn; one that may pass goes first.
    """
    failures: list[ModelyardError] = []
    for model in models:
        try:
            act(model)
        except ModelyardError as error:
            log.error("%s: %s", model, error)  # noqa: TRY400 - the text says what to do
            failures.append(error)
    if failures:
        raise next((one for one in failures if isinstance(one, PASSING)), failures[0])
