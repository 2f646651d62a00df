"""Whether every prediction that was answered under load stands in the database."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
from sqlalchemy import create_engine, inspect, text

from modelyard.settings import Settings

DRAIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of the predictions."""

    answered: int
    """What the load generator counted; what was under way when it stopped is not among it."""
    rows: int
    """What the database has."""
    dropped: int
    drain_seconds: float
    """How long the log wrote on after the last request."""


def logged(settings: Settings, answered: int, before: int) -> Logged:
    """Wait until the log has written all, and count what came since there were `before` rows."""
    begun = time.monotonic()
    while True:
        health = httpx.get(f"{settings.endpoint}/health", trust_env=False, timeout=30).json()
        state = health["prediction_log"]
        if not state["queued"] or time.monotonic() - begun > DRAIN_SECONDS:
            break
        time.sleep(0.2)
    spent = time.monotonic() - begun
    return Logged(answered, count(settings) - before, int(state["dropped"]), spent)


def count(settings: Settings) -> int:
    """How many predictions the database has."""
    engine = create_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("predictions"):
                return 0
            return int(connection.execute(text("SELECT COUNT(*) FROM predictions")).scalar_one())
    finally:
        engine.dispose()
