"""Who looks at the pages, and what Airflow's own authorisation lets them do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, HTTPException, Request

type Right = Literal["move", "approve", "acknowledge"]
type Method = Literal["POST", "PUT"]

RIGHTS: Mapping[Right, tuple[Method, DagAccessEntity, str]] = {
    "move": ("POST", DagAccessEntity.RUN, "rollout"),
    "approve": ("PUT", DagAccessEntity.HITL_DETAIL, "approve"),
    "acknowledge": ("POST", DagAccessEntity.RUN, "monitoring"),
}
"""What a button asks of Airflow: the same as to trigger or to answer the DAG that does the same."""
IN_WORDS: Mapping[Right, str] = {
    "move": "to trigger the DAG rollout",
    "approve": "to answer the required actions of the DAG approve",
    "acknowledge": "to trigger the DAG monitoring",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is logged in."""

    id: str
    name: str
    rights: frozenset[Right]

    def require(self, right: Right) -> None:
        """Refuse whoever has not this right; raises HTTPException 403."""
        if right not in self.rights:
            told = f"Your role in Airflow does not allow it; it takes the right {IN_WORDS[right]}."
            raise HTTPException(403, told)


def visitor(request: Request, user: GetUserDep) -> Visitor:
    """Ask Airflow who it is, and what they may do."""
    rights = frozenset(right for right in RIGHTS if _may(right, request, user))
    return Visitor(str(user.get_id()), str(user.get_name() or user.get_id()), rights)


def _may(right: Right, request: Request, user: GetUserDep) -> bool:
    method, entity, dag = RIGHTS[right]
    try:
        requires_access_dag(method, entity, dag)(request, user)
    except HTTPException:
        return False
    return True


VisitorDep = Annotated[Visitor, Depends(visitor)]
