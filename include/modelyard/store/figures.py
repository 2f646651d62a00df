"""What watching found last, as few and as plain values as a scrape may cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, case, func, or_, select

from modelyard.store.connected import Connected
from modelyard.store.monitoring_tables import (
    WAITING,
    AlertEventRow,
    AlertRow,
    DriftCheckRow,
    PerformanceRow,
    RetrainingRow,
    VerdictRow,
)
from modelyard.store.tables import Prediction

type Versions = Mapping[str, Sequence[int]]
"""Model to the versions that are served."""


class AlertCount(NamedTuple):
    """Open alerts of one model, kind and level."""

    model: str
    kind: str
    level: str
    number: int
    unseen: int
    """Those that nobody acknowledged."""


class DriftFigure(NamedTuple):
    """The newest comparison of a window, all rows."""

    check: str
    model: str
    version: int
    window: str
    at: datetime
    rows: int
    columns: tuple[tuple[str, float, bool], ...]
    """Column, effect and whether it drifted; most drifted first."""


class PerformanceFigure(NamedTuple):
    """The newest look at how good the answers of a window were, all rows."""

    model: str
    version: int
    window: str
    at: datetime
    rows: int
    labelled: int
    metrics: list[dict[str, Any]]
    """As `MetricVerdict` has them."""


class RetrainingCount(NamedTuple):
    """Retrainings of one model that ended so, or are on their way."""

    model: str
    status: str
    number: int
    last: datetime


class FigureQueries(Connected):
    """Figures for Prometheus."""

    def open_alerts(self, models: Sequence[str]) -> list[AlertCount]:
        """Count open alerts by model, kind and level."""
        by = (AlertRow.model, AlertRow.kind, AlertRow.level)
        unseen = func.sum(case((AlertRow.acknowledged.is_(None), 1), else_=0))
        query = select(*by, func.count(), unseen)
        query = query.where(AlertRow.model.in_(models), AlertRow.ended.is_(None)).group_by(*by)
        with self._reading() as connection:
            return [AlertCount._make(row) for row in connection.execute(query)]

    def last_drift(self, served: Versions, columns: int) -> list[DriftFigure]:
        """Return the newest comparison of each served version and window, with so many columns."""
        fields = [getattr(DriftCheckRow, name) for name in ("id", *DriftFigure._fields[1:-1])]
        with self._reading() as connection:
            checks = _newest(connection, DriftCheckRow, fields, served)
            found = _columns(connection, [check[0] for check in checks], columns)
        return [DriftFigure._make((*check, tuple(found.get(check[0], ())))) for check in checks]

    def last_performance(self, served: Versions) -> list[PerformanceFigure]:
        """Return the newest looks at the performance of each served version and window."""
        fields = [getattr(PerformanceRow, name) for name in PerformanceFigure._fields]
        with self._reading() as connection:
            rows = _newest(connection, PerformanceRow, fields, served)
        return [PerformanceFigure._make(row) for row in rows]

    def last_predictions(self, served: Versions) -> dict[tuple[str, int], datetime]:
        """Say when each served version last answered, as far as that is written."""
        found = {}
        with self._reading() as connection:
            for model, version in _pairs(served):
                query = select(func.max(Prediction.at))
                query = query.where(Prediction.model == model, Prediction.version == version)
                at = connection.execute(query).scalar_one()
                if at is not None:
                    found[model, version] = at
        return found

    def count_retrainings(self, models: Sequence[str]) -> list[RetrainingCount]:
        """Count retrainings by model and status."""
        by = (RetrainingRow.model, RetrainingRow.status)
        query = select(*by, func.count(), func.max(RetrainingRow.asked))
        query = query.where(RetrainingRow.model.in_(models)).group_by(*by)
        with self._reading() as connection:
            return [RetrainingCount._make(row) for row in connection.execute(query)]

    def undelivered(self) -> tuple[int, int]:
        """Count changes of alerts that wait for delivery, and those among them that failed before."""
        failed = func.sum(case((AlertEventRow.tries > 0, 1), else_=0))
        query = select(func.count(), func.coalesce(failed, 0))
        query = query.where(WAITING)
        with self._reading() as connection:
            waiting, again = connection.execute(query).one()
        return int(waiting), int(again)


def _pairs(served: Versions) -> list[tuple[str, int]]:
    return [(model, version) for model, versions in served.items() for version in versions]


def _newest(
    connection: Connection,
    table: type[DriftCheckRow | PerformanceRow],
    fields: Sequence[Any],
    served: Versions,
) -> Sequence[Row[Any]]:
    """Read the newest rows of each window of the served versions: one index, read to its ends."""
    key = (table.version, table.window)
    found: list[Row[Any]] = []
    for model, versions in served.items():
        of_model = and_(table.model == model, table.segment == "")
        query = select(*key, func.max(table.at)).group_by(*key)
        ends = connection.execute(query.where(of_model, table.version.in_(versions))).all()
        if ends:
            which = [
                and_(table.version == version, table.window == window, table.at == at)
                for version, window, at in ends
            ]
            chosen: Select[Any] = select(*fields).where(of_model, or_(*which))
            found += connection.execute(chosen.order_by(*key)).all()
    return found


def _columns(
    connection: Connection, checks: Sequence[str], most: int
) -> dict[str, list[tuple[str, float, bool]]]:
    found: dict[str, list[tuple[str, float, bool]]] = {}
    fields = (VerdictRow.check_id, VerdictRow.column, VerdictRow.kind)
    query = select(*fields, VerdictRow.effect, VerdictRow.drifted)
    query = query.where(VerdictRow.check_id.in_(checks), VerdictRow.position < most)
    for check, column, kind, effect, drifted in connection.execute(
        query.order_by(VerdictRow.position)
    ):
        name = f"{column} (missing)" if kind == "missing" else column
        found.setdefault(check, []).append((name, effect, drifted))
    return found
