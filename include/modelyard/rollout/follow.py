"""What to make of MLflow's aliases where they differ from the database: a pure decision.

The database says what is served, and aliases are written after it. An alias that a person moved in
MLflow's web page is an order all the same: it differs from what the database wants, and from what
Modelyard noted when it last gave the alias.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

type Answer = Literal["agree", "note", "write", "follow", "leave"]


@dataclass(frozen=True, slots=True)
class AliasState:
    """One alias of one model.

    Args:
        bearer: The version that has it in MLflow.
        noted: The version that Modelyard last gave it to.
        wanted: The version that the database has in that role.
        ever_noted: Whether Modelyard has noted any alias of this model.
    """

    bearer: int | None
    noted: int | None
    wanted: int | None
    ever_noted: bool = True


def answer(state: AliasState, deployed_once: Collection[int]) -> Answer:
    """Say what to do.

    - agree: nothing.
    - note: note the bearer as ours; the alias is right, or older than notes.
    - write: give it to whom the database wants: a move that MLflow did not hear of, or an alias
      that was deleted, which is no order, for nothing says what should be served instead.
    - follow: a person moved it; the traffic goes after it.
    - leave: a version that was registered and has not been deployed yet.

    Args:
        state: The alias.
        deployed_once: Versions that the database knows.
    """
    if state.bearer == state.wanted:
        return "agree" if state.noted == state.wanted else "note"
    if not state.ever_noted:
        return "note"
    if state.bearer is None:
        return "write"
    if state.bearer != state.noted:
        return "follow"
    return "write" if state.bearer in deployed_once else "leave"
