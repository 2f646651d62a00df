"""Count outcomes by version and phase: the evidence that rollouts are decided by."""

from __future__ import annotations

from typing import NamedTuple

from modelyard.rollout.routes import Route
from serving.prediction_log.log import PredictionLog
from serving.traffic.router import Lanes


class Count(NamedTuple):
    """Trials of one kind, and how many of them were hits."""

    model: str
    version: int
    phase: str
    measure: str
    trials: int
    hits: int


class Tallies:
    """Adds counts to the prediction log, which writes them with its batches."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log

    def answered(self, lanes: Lanes, route: Route, milliseconds: float) -> None:
        """Count a call that was answered: no error, and slow if it took longer than the phase's limit."""
        self._add(lanes, route, "errors", hit=False)
        slow_ms = lanes.traffic.slow_ms
        if slow_ms is not None:
            self._add(lanes, route, "slow", hit=milliseconds > slow_ms)

    def failed(self, lanes: Lanes, route: Route) -> None:
        """Count a call that failed or came too late."""
        self._add(lanes, route, "errors", hit=True)

    def compared(self, lanes: Lanes, route: Route, *, agrees: bool) -> None:
        """Count a request that the champion and a shadow both answered."""
        self._add(lanes, route, "disagreements", hit=not agrees)

    def _add(self, lanes: Lanes, route: Route, measure: str, *, hit: bool) -> None:
        """Count for the present phase; without one nothing is being decided.

        A route that is no longer the present one was picked before a move: its request belongs to
        neither phase.
        """
        phase = lanes.traffic.phase
        if phase and any(route is one for one in lanes.routes):
            self._log.tally(Count(lanes.model, route.version, phase, measure, 1, int(hit)))
