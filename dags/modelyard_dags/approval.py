"""What the DAG `approve` asks, and what becomes of the answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import JsonValue

from modelyard_dags.assets import endpoint_asset
from modelyard_dags.operations import ENDPOINT
from modelyard_dags.operators import refusals_told

if TYPE_CHECKING:
    from modelyard.settings import Settings
    from modelyard.store.records import LedgerEntry, RolloutRecord

APPROVE, REJECT = "Approve", "Reject"
OPTIONS = (APPROVE, REJECT)
SHARE = "share"
NAMES = {"errors": "failed calls", "slow": "slow answers", "wrong": "wrong answers"}

log = logging.getLogger(__name__)


def request() -> dict[str, JsonValue]:
    """Describe the challenger that waits; skip what was decided meanwhile."""
    from modelyard.settings import get_settings
    from modelyard.store.database import open_store

    settings, params = get_settings(), get_current_context()["params"]
    with refusals_told(), open_store(settings.database_url) as store:
        record = store.rollout(params["model"])
        if (
            record is None
            or record.status != "waiting"
            or params["phase"] not in {None, record.phase}
        ):
            message = f"no challenger of {params['model']} waits for this approval any more"
            raise AirflowSkipException(message)
        roles = {item.role: item for item in store.variants(record.model)}
        entry = next(one for one in store.ledger(record.model) if one.id == record.phase)
    champion = roles["champion"].version
    share = roles["challenger"].weight
    return {
        "subject": f"{record.model}: may version {record.version} take over from version {champion}?",
        "body": _body(settings, record, champion, share, entry),
        "phase": record.phase,
    }


def answer() -> dict[str, JsonValue] | None:
    """Carry out what a person answered; None if it was decided elsewhere meanwhile."""
    from modelyard import serve_control
    from modelyard.rollout.moves import Author
    from modelyard.settings import get_settings
    from modelyard.store.database import open_store

    context, settings = get_current_context(), get_settings()
    model = context["params"]["model"]
    asked = context["ti"].xcom_pull(task_ids="evidence")
    told = context["ti"].xcom_pull(task_ids="approval")
    with refusals_told(), open_store(settings.database_url) as store:
        record = store.rollout(model)
    if record is None or record.phase != asked["phase"]:
        message = f"{model}: it was decided elsewhere meanwhile"
        raise AirflowSkipException(message)
    author = Author(_who(told), reason="in Airflow")
    with refusals_told():
        if APPROVE in told["chosen_options"]:
            share = float((told.get("params_input") or {}).get(SHARE) or 1.0)
            move = serve_control.approve(settings, model, share, author)
        else:
            move = serve_control.reject(settings, model, author)
    if move is None:
        return None
    after: dict[str, JsonValue] = dict(move.entry.after)
    extra = {"action": move.entry.action, "by": author.by, "weights": after}
    context["outlet_events"][ENDPOINT].add(endpoint_asset(model), extra=extra)
    return after


def _who(told: Mapping[str, JsonValue]) -> str:
    user = told.get("responded_by_user")
    name = user.get("name") or user.get("id") if isinstance(user, dict) else None
    return str(name or "Airflow")


def _body(
    settings: Settings, record: RolloutRecord, champion: int, share: float, entry: LedgerEntry
) -> str:
    """Markdown: where it is, what was counted, and the metrics of both versions."""
    parts = [
        f"Version {record.version} has {share:.0%} of the requests. {entry.reason}.",
        _counts(entry.evidence),
        _metrics(settings, record.model, champion, record.version),
    ]
    return "\n\n".join(part for part in parts if part)


def _counts(evidence: Mapping[str, JsonValue]) -> str:
    measures = evidence.get("measures")
    if not isinstance(measures, dict):
        return ""
    lines = [
        "| since the last step | champion | challenger | difference | margin |",
        "|---|---|---|---|---|",
    ]
    for name, found in measures.items():
        if isinstance(found, dict) and name in NAMES:
            low, high = float(str(found["low"])), float(str(found["high"]))
            counts = f"{_count(found['champion'])} | {_count(found['challenger'])}"
            lines.append(
                f"| {NAMES[name]} | {counts} | {low:+.2%} to {high:+.2%} "
                f"| {float(str(found['margin'])):.0%} |"
            )
    return "\n".join(lines)


def _count(found: JsonValue) -> str:
    if not isinstance(found, dict) or not found["trials"]:
        return "none counted"
    hits, trials = int(str(found["hits"])), int(str(found["trials"]))
    return f"{hits:,} of {trials:,} ({hits / trials:.2%})"


def _metrics(settings: Settings, model: str, champion: int, challenger: int) -> str:
    from modelyard.tracking import registry

    old, new = (registry.version(settings, model, one).metrics for one in (champion, challenger))
    lines = [
        f"| on the test split | champion {champion} | challenger {challenger} |",
        "|---|---|---|",
    ]
    for name in sorted(old.keys() | new.keys()):
        values = [f"{side[name]:.4g}" if name in side else "-" for side in (old, new)]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)
