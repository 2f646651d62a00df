"""The tables, as SQLAlchemy sees them; `migrations/` makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import JsonValue
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# SQLite counts up by itself only in a column that it calls INTEGER.
COUNTER: Final = BigInteger().with_variant(Integer(), "sqlite")
DOCUMENT: Final = JSON().with_variant(JSONB(), "postgresql")
# Where there is none, there is NULL and not the JSON word null.
KEPT: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, aware in Python on both engines."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time; SQLite keeps text without a zone, so it gets UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"{value} has no time zone"
            raise ValueError(message)
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return UTC, whatever zone the server's session has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class JsonText(TypeDecorator[JsonValue]):
    """Any JSON value as text; SQLite would make a number of a JSON column's "7"."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> str:  # noqa: ARG002 - SQLAlchemy's interface
        """Write the value as JSON."""
        return orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:  # noqa: ARG002 - SQLAlchemy's interface
        """Read it back."""
        read: JsonValue = None if value is None else orjson.loads(value)
        return read


class Base(DeclarativeBase):
    """All tables of Modelyard."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: UtcDateTime(),
        str: String(255),
        dict[str, JsonValue]: DOCUMENT,
        dict[str, float]: DOCUMENT,
    }


class Prediction(Base):
    """One row for each answered row."""

    __tablename__ = "predictions"
    __table_args__ = (
        Index(None, "model", "at", "id"),
        Index(None, "model", "version", "at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    model: Mapped[str]
    version: Mapped[int]
    request: Mapped[str]
    inputs: Mapped[dict[str, JsonValue]]
    outputs: Mapped[dict[str, JsonValue]]
    probability: Mapped[dict[str, float]]
    latency_ms: Mapped[float]
    run: Mapped[str | None]
    experiment: Mapped[str | None]
    phase: Mapped[str | None]
    fallback_from: Mapped[int | None]
    client: Mapped[str | None]
    raw: Mapped[dict[str, JsonValue] | None] = mapped_column(KEPT)
    embedding: Mapped[list[float] | None] = mapped_column(KEPT)


class VariantRow(Base):
    """What should be served now."""

    __tablename__ = "variants"
    __table_args__ = (
        CheckConstraint("weight >= 0", name="weight"),
        CheckConstraint("role IN ('champion', 'challenger', 'warm')", name="role"),
        Index(
            "uq_variants_champion",
            "model",
            unique=True,
            sqlite_where=text("role = 'champion'"),
            postgresql_where=text("role = 'champion'"),
        ),
    )

    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    weight: Mapped[float]
    role: Mapped[str]
    shadow: Mapped[float] = mapped_column(server_default=text("0"))
    experiment: Mapped[str | None]


class LedgerRow(Base):
    """Every change of what is served, in order."""

    __tablename__ = "ledger"
    __table_args__ = (Index(None, "model", "number"),)

    number: Mapped[int] = mapped_column(COUNTER, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    at: Mapped[datetime]
    model: Mapped[str]
    action: Mapped[str]
    before: Mapped[dict[str, float]]
    after: Mapped[dict[str, float]]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str]
    run: Mapped[str | None]
    evidence: Mapped[dict[str, JsonValue]] = mapped_column(server_default=text("'{}'"))


class TallyRow(Base):
    """Counts of what happened to a version since a phase began."""

    __tablename__ = "tallies"

    model: Mapped[str] = mapped_column(primary_key=True)
    phase: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    measure: Mapped[str] = mapped_column(primary_key=True)
    trials: Mapped[int] = mapped_column(BigInteger)
    hits: Mapped[int] = mapped_column(BigInteger)


class ShadowRow(Base):
    """Answers that nobody saw."""

    __tablename__ = "shadows"
    __table_args__ = (Index(None, "model", "at"),)

    prediction: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    model: Mapped[str]
    phase: Mapped[str]
    outputs: Mapped[dict[str, JsonValue]]
    probability: Mapped[dict[str, float]]
    latency_ms: Mapped[float]
    agrees: Mapped[bool | None]
    error: Mapped[str | None] = mapped_column(Text)


class LabelRow(Base):
    """What turned out to be true."""

    __tablename__ = "labels"
    __table_args__ = (
        Index(None, "model", "at"),
        Index(None, "model", "version", "answered", "prediction"),
    )

    prediction: Mapped[str] = mapped_column(primary_key=True)
    output: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    value: Mapped[JsonValue] = mapped_column(JsonText, nullable=False)
    at: Mapped[datetime]
    by: Mapped[str | None]
    wrong: Mapped[bool | None]
    version: Mapped[int | None]
    answered: Mapped[datetime | None]


class RolloutRow(Base):
    """Every challenger's way."""

    __tablename__ = "rollouts"
    __table_args__ = (
        Index(None, "model", "started"),
        Index(
            "uq_rollouts_under_way",
            "model",
            unique=True,
            sqlite_where=text("status IN ('shadow', 'canary', 'waiting')"),
            postgresql_where=text("status IN ('shadow', 'canary', 'waiting')"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    version: Mapped[int]
    status: Mapped[str]
    step: Mapped[int]
    phase: Mapped[str]
    slow_ms: Mapped[float | None]
    policy: Mapped[dict[str, JsonValue]]
    started: Mapped[datetime]
    changed: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str]
    run: Mapped[str | None]


class ApiKeyRow(Base):
    """Keys to the endpoint, without their secrets."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(DOCUMENT)
    models: Mapped[list[str]] = mapped_column(DOCUMENT)
    rate_per_minute: Mapped[int | None]
    created: Mapped[datetime]
    revoked: Mapped[datetime | None]
