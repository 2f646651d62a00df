"""What operators do from Airflow: move the traffic of served models."""

from __future__ import annotations

import logging

from airflow.sdk import AssetAlias, get_current_context
from pydantic import JsonValue

from modelyard.errors import UsageError
from modelyard_dags.assets import endpoint_asset
from modelyard_dags.operators import refusals_told

ENDPOINT = AssetAlias("any_endpoint")
ACTIONS = ("promote", "rollback", "split")

log = logging.getLogger(__name__)


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
