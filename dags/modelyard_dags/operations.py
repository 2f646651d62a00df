"""What operators do from Airflow: watch served models, and move their traffic."""

from __future__ import annotations

import logging

from airflow.sdk import AssetAlias, get_current_context
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import JsonValue

from modelyard.errors import MonitoringError, UsageError
from modelyard_dags.assets import drift_asset, endpoint_asset
from modelyard_dags.operators import refusals_told

DRIFT = AssetAlias("any_drift")
ENDPOINT = AssetAlias("any_endpoint")
ACTIONS = ("promote", "rollback", "split")

log = logging.getLogger(__name__)


def served_models() -> list[str]:
    """Name every model that is served."""
    from modelyard.settings import get_settings
    from modelyard.store.database import open_store

    with refusals_told(), open_store(get_settings().database_url) as store:
        return sorted({variant.model for variant in store.variants()})


def check_drift(model: str) -> dict[str, JsonValue]:
    """Compare a model's last predictions with its reference; drift is an event for other DAGs."""
    from modelyard.settings import get_settings
    from modelyard.watch import run_drift

    context = get_current_context()
    with refusals_told():
        try:
            report = run_drift(
                get_settings(), model, window=context["params"]["window"], run=context["run_id"]
            )
        except MonitoringError as error:
            # Too few predictions is how every model begins.
            raise AirflowSkipException(str(error)) from None
    found: dict[str, JsonValue] = {
        "model": model,
        "version": report.check.version,
        "rows": report.check.rows,
        "drifted": report.check.drifted,
        "columns": [*sorted({one.column for one in report.check.verdicts if one.drifted})],
        "report": report.html.relative_to(get_settings().home).as_posix(),
    }
    if report.check.drifted:
        context["outlet_events"][DRIFT].add(drift_asset(model), extra=found)
    return found


def move_traffic() -> dict[str, JsonValue] | None:
    """Move a model's traffic as the trigger form says; None if it was so already."""
    from modelyard import serve_control
    from modelyard.rollout.moves import Author
    from modelyard.settings import get_settings

    context, settings = get_current_context(), get_settings()
    params = context["params"]
    model, action = params["model"], params["action"]
    author = Author(context["dag_run"].triggering_user_name or "Airflow", reason="by hand")
    with refusals_told():
        if action == "promote":
            move = serve_control.promote(settings, model, params["version"], author)
        elif action == "rollback":
            move = serve_control.rollback(settings, model, author)
        else:
            weights = _by_version(params["weights"])
            move = serve_control.split(settings, model, weights, author)
    if move is None:
        log.info("%s: nothing to do, it is so already", model)
        return None
    after: dict[str, JsonValue] = dict(move.entry.after)
    context["outlet_events"][ENDPOINT].add(
        endpoint_asset(model), extra={"action": action, "by": author.by, "weights": after}
    )
    return after


def _by_version(weights: dict[str, float]) -> dict[int, float]:
    if not weights:
        message = "split needs weights"
        raise UsageError(message, hint='such as {"3": 0.9, "4": 0.1}')
    try:
        return {int(version): float(weight) for version, weight in weights.items()}
    except (TypeError, ValueError) as error:
        message = f"weights must be version numbers with shares, not {weights}"
        raise UsageError(message, hint='such as {"3": 0.9, "4": 0.1}') from error
