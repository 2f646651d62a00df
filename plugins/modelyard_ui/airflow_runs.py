"""The last run of each training DAG, out of Airflow's metadata; the one place that reads them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from modelyard.errors import StoreError

ANY = "train_any"
RUNS_OF_ANY = 50
"""So many of its last runs are looked through for the spec that each was for."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a DAG."""

    dag: str
    id: str
    state: str
    at: datetime | None
    by: str


def dag_id(name: str) -> str:
    """Spell a spec's DAG id, as `modelyard_dags.catalogue` does, which is not importable here."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:200]
    plain = safe == name and f"train_{safe}" != ANY
    return f"train_{safe}" if plain else f"train_{safe}-{zlib.crc32(name.encode()):08x}"


def last_runs(user: GetUserDep, names: Collection[str]) -> dict[str, RunRow]:
    """Return the last training of each spec that this user may see, in its own DAG or train_any.

    Raises:
        StoreError: Airflow's database cannot be read.
    """
    wanted = {dag_id(name): name for name in names}
    try:
        with create_session() as session:
            teams = DagModel.get_dag_id_to_team_name_mapping([*wanted, ANY], session=session)
            allowed = [dag for dag in [*wanted, ANY] if _may_read(user, dag, teams.get(dag))]
            own = session.execute(_newest([dag for dag in allowed if dag != ANY])).all()
            shared = session.execute(_newest_of_any()).all() if ANY in allowed else []
    except SQLAlchemyError as error:
        message = "Airflow's database cannot be read"
        raise StoreError(message) from error
    found = [(wanted[row.dag_id], row) for row in own]
    found += [(str((row.conf or {}).get("spec")), row) for row in shared]
    return _last(found, names)


def _may_read(user: GetUserDep, dag: str, team: str | None) -> bool:
    return bool(
        get_auth_manager().is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag, team_name=team),
            user=user,
        )
    )


def _columns() -> tuple[Any, ...]:
    return (
        DagRun.id,
        DagRun.dag_id,
        DagRun.run_id,
        DagRun.state,
        DagRun.start_date,
        DagRun.queued_at,
        DagRun.triggering_user_name,
        DagRun.run_type,
    )


def _newest(dags: list[str]) -> Any:
    newest = select(func.max(DagRun.id)).where(DagRun.dag_id.in_(dags)).group_by(DagRun.dag_id)
    return select(*_columns()).where(DagRun.id.in_(newest))


def _newest_of_any() -> Any:
    query = select(*_columns(), DagRun.conf).where(DagRun.dag_id == ANY)
    return query.order_by(DagRun.id.desc()).limit(RUNS_OF_ANY)


def _last(found: Iterable[tuple[str, Any]], names: Collection[str]) -> dict[str, RunRow]:
    newest: dict[str, Any] = {}
    for name, row in found:
        if name in names and (name not in newest or row.id > newest[name].id):
            newest[name] = row
    return {name: _row(row) for name, row in newest.items()}


def _row(row: Any) -> RunRow:
    by = row.triggering_user_name or f"Airflow ({row.run_type})"
    at = row.start_date or row.queued_at
    return RunRow(row.dag_id, row.run_id, str(row.state or "unknown"), at, by)
