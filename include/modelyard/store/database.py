"""The one way to Modelyard's database."""

from __future__ import annotations

from modelyard.store import migrate
from modelyard.store.api_keys import KeyQueries
from modelyard.store.engine import make_engine, parse_url
from modelyard.store.evidence import EvidenceQueries
from modelyard.store.figures import FigureQueries
from modelyard.store.lineage import LineageQueries
from modelyard.store.monitoring import MonitoringQueries
from modelyard.store.predictions import PredictionQueries
from modelyard.store.rollouts import RolloutQueries


def open_store(url: str) -> Store:
    """Open Modelyard's database, bringing it to the newest revision first; safe in parallel."""
    engine = make_engine(parse_url(url))
    try:
        migrate.upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


class Store(
    PredictionQueries,
    RolloutQueries,
    EvidenceQueries,
    MonitoringQueries,
    LineageQueries,
    FigureQueries,
    KeyQueries,
):
    """Queries and writes; each method is one transaction, and safe from any thread."""
