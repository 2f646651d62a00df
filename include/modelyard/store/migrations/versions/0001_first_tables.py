"""First tables: predictions, variants and their ledger, comparisons and verdicts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(255)
MOMENT = sa.DateTime(timezone=True)
NUMBER: sa.Double[float] = sa.Double()
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _optional(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def upgrade() -> None:
    """Make all tables."""
    _predictions()
    _variants()
    _ledger()
    _drift_checks()
    _verdicts()


def _predictions() -> None:
    op.create_table(
        "predictions",
        _needed("id", NAME),
        _needed("at", MOMENT),
        _needed("model", NAME),
        _needed("version", sa.Integer()),
        _needed("request", NAME),
        _needed("inputs", DOCUMENT),
        _needed("outputs", DOCUMENT),
        _needed("probability", DOCUMENT),
        _needed("latency_ms", NUMBER),
        _optional("run", NAME),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_model_at_id", "predictions", ["model", "at", "id"])
    columns = ["model", "version", "at", "id"]
    op.create_index("ix_predictions_model_version_at_id", "predictions", columns)


def _variants() -> None:
    op.create_table(
        "variants",
        _needed("model", NAME),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        _needed("weight", NUMBER),
        _needed("role", NAME),
        sa.CheckConstraint(
            "role IN ('champion', 'challenger', 'warm')", name=op.f("ck_variants_role")
        ),
        sa.CheckConstraint("weight >= 0", name=op.f("ck_variants_weight")),
        sa.PrimaryKeyConstraint("model", "version", name="pk_variants"),
    )
    champion = sa.text("role = 'champion'")
    op.create_index(
        "uq_variants_champion",
        "variants",
        ["model"],
        unique=True,
        sqlite_where=champion,
        postgresql_where=champion,
    )


def _ledger() -> None:
    op.create_table(
        "ledger",
        _needed("number", COUNTER),
        _needed("id", NAME),
        _needed("at", MOMENT),
        _needed("model", NAME),
        _needed("action", NAME),
        _needed("before", DOCUMENT),
        _needed("after", DOCUMENT),
        _needed("reason", sa.Text()),
        _needed("by", NAME),
        _optional("run", NAME),
        sa.PrimaryKeyConstraint("number", name="pk_ledger"),
        sa.UniqueConstraint("id", name="uq_ledger_id"),
    )
    op.create_index("ix_ledger_model_number", "ledger", ["model", "number"])


def _drift_checks() -> None:
    op.create_table(
        "drift_checks",
        _needed("id", NAME),
        _needed("at", MOMENT),
        _needed("model", NAME),
        _needed("version", sa.Integer()),
        _needed("window", NAME),
        _needed("rows", sa.Integer()),
        _needed("first_at", MOMENT),
        _needed("last_at", MOMENT),
        _needed("reference_rows", sa.Integer()),
        _needed("alpha", NUMBER),
        _needed("correction", NAME),
        _needed("min_effect", NUMBER),
        _needed("drifted", sa.Boolean()),
        _optional("run", NAME),
        sa.PrimaryKeyConstraint("id", name="pk_drift_checks"),
    )
    op.create_index("ix_drift_checks_model_at", "drift_checks", ["model", "at"])


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        _needed("check_id", NAME),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        _needed("column", sa.Text()),
        _needed("kind", NAME),
        _needed("test", NAME),
        _optional("statistic", NUMBER),
        _optional("p_value", NUMBER),
        _optional("p_adjusted", NUMBER),
        _needed("effect", NUMBER),
        _needed("effect_name", NAME),
        _needed("drifted", sa.Boolean()),
        _optional("psi", NUMBER),
        _optional("js", NUMBER),
        _needed("reference_rows", sa.Integer()),
        _needed("live_rows", sa.Integer()),
        _needed("reference_missing", NUMBER),
        _needed("live_missing", NUMBER),
        _optional("note", sa.Text()),
        sa.ForeignKeyConstraint(
            ["check_id"],
            ["drift_checks.id"],
            name="fk_verdicts_check_id_drift_checks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("check_id", "position", name="pk_verdicts"),
    )


def downgrade() -> None:
    """Drop all tables and what they hold."""
    for table in ("verdicts", "drift_checks", "ledger", "variants", "predictions"):
        op.drop_table(table)
