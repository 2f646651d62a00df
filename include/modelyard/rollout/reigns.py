"""Who was champion, when and why: read from the ledger, since MLflow keeps no past of its aliases."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from modelyard.store.records import LedgerEntry, Moment

CHANGES_CHAMPION = frozenset({"promote", "rollback"})


class Reign(BaseModel):
    """The time for which one version was champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(description="The champion.")
    since: Moment = Field(description="When it became champion.")
    until: Moment | None = Field(description="When another did; null for the present champion.")
    reason: str = Field(description="Why it became champion, in words.")
    by: str = Field(description="Who or what decided.")
    run: str | None = Field(description="The run that decided, if one did.")


def reigns(entries: Iterable[LedgerEntry]) -> list[Reign]:
    """Read the reigns out of a model's ledger, given newest first; the newest reign comes first."""
    found: list[Reign] = []
    for entry in reversed(list(entries)):
        champion = _champion(entry)
        if champion is None or (found and found[-1].version == champion):
            continue
        if found:
            found[-1] = found[-1].model_copy(update={"until": entry.at})
        found.append(
            Reign(
                version=champion,
                since=entry.at,
                until=None,
                reason=entry.reason,
                by=entry.by,
                run=entry.run,
            )
        )
    return found[::-1]


def _champion(entry: LedgerEntry) -> int | None:
    """The version that has all traffic after a change that can make a champion."""
    if entry.action not in CHANGES_CHAMPION:
        return None
    return next((int(version) for version, weight in entry.after.items() if weight == 1), None)
