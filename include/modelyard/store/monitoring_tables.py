"""The tables of watching, as SQLAlchemy sees them; `migrations/` makes them."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue
from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.store.tables import COUNTER, DOCUMENT, Base

OPEN = text("ended IS NULL")
WAITING = text("deliver AND delivered IS NULL")


class DriftCheckRow(Base):
    """Every comparison of a window with its reference."""

    __tablename__ = "drift_checks"
    __table_args__ = (
        Index(None, "model", "at"),
        Index(None, "model", "segment", "version", "window", "at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    model: Mapped[str]
    version: Mapped[int]
    window: Mapped[str]
    segment: Mapped[str] = mapped_column(server_default=text("''"))
    source: Mapped[str] = mapped_column(server_default=text("'rows'"))
    rows: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    reference_rows: Mapped[int]
    alpha: Mapped[float]
    correction: Mapped[str]
    min_effect: Mapped[float]
    drifted: Mapped[bool]
    run: Mapped[str | None]


class VerdictRow(Base):
    """One column of a comparison."""

    __tablename__ = "verdicts"

    check_id: Mapped[str] = mapped_column(
        ForeignKey("drift_checks.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    column: Mapped[str] = mapped_column(Text)
    kind: Mapped[str]
    test: Mapped[str]
    statistic: Mapped[float | None]
    p_value: Mapped[float | None]
    p_adjusted: Mapped[float | None]
    effect: Mapped[float]
    effect_name: Mapped[str]
    drifted: Mapped[bool]
    measures: Mapped[dict[str, float]] = mapped_column(server_default=text("'{}'"))
    reference_rows: Mapped[int]
    live_rows: Mapped[int]
    reference_missing: Mapped[float]
    live_missing: Mapped[float]
    since: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(Text)


class PerformanceRow(Base):
    """Every look at how good answers were."""

    __tablename__ = "performance_checks"
    __table_args__ = (
        Index(None, "model", "at"),
        Index(None, "model", "segment", "version", "window", "at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    model: Mapped[str]
    version: Mapped[int]
    window: Mapped[str]
    segment: Mapped[str]
    rows: Mapped[int]
    labelled: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    alpha: Mapped[float]
    run: Mapped[str | None]
    metrics: Mapped[list[dict[str, JsonValue]]] = mapped_column(DOCUMENT)


class AlertRow(Base):
    """Everything that was ever wrong."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(None, "model", "opened"),
        Index(
            "uq_alerts_open",
            *("model", "version", "kind", "subject", "segment"),
            unique=True,
            sqlite_where=OPEN,
            postgresql_where=OPEN,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    version: Mapped[int]
    kind: Mapped[str]
    subject: Mapped[str]
    segment: Mapped[str]
    level: Mapped[str]
    worst: Mapped[str]
    value: Mapped[float]
    peak: Mapped[float]
    windows: Mapped[list[str]] = mapped_column(DOCUMENT)
    reason: Mapped[str] = mapped_column(Text)
    onset: Mapped[datetime]
    opened: Mapped[datetime]
    seen: Mapped[datetime]
    eased: Mapped[datetime | None]
    gone: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    ending: Mapped[str | None] = mapped_column(Text)
    check: Mapped[str | None]
    report: Mapped[str | None] = mapped_column(Text)
    run: Mapped[str | None]
    acknowledged: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    comment: Mapped[str | None] = mapped_column(Text)


class AlertEventRow(Base):
    """Every change of an alert, in order; the outbox of what is to be delivered too."""

    __tablename__ = "alert_events"
    __table_args__ = (
        Index(None, "alert", "number"),
        Index("ix_alert_events_waiting", "number", sqlite_where=WAITING, postgresql_where=WAITING),
    )

    number: Mapped[int] = mapped_column(COUNTER, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    alert: Mapped[str]
    model: Mapped[str]
    at: Mapped[datetime]
    change: Mapped[str]
    level: Mapped[str]
    deliver: Mapped[bool]
    delivered: Mapped[datetime | None]
    tries: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)
    reached: Mapped[list[str]] = mapped_column(DOCUMENT, server_default=text("'[]'"))


class RetrainingRow(Base):
    """Every training that an alert started."""

    __tablename__ = "retrainings"
    __table_args__ = (Index(None, "model", "asked"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    alert: Mapped[str] = mapped_column(unique=True)
    asked: Mapped[datetime]
    status: Mapped[str]
    changed: Mapped[datetime]
    revision: Mapped[str | None] = mapped_column(Text)
    rows: Mapped[int | None]
    run: Mapped[str | None]
    version: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, JsonValue]]
