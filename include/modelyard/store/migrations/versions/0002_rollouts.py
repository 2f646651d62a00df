"""What rollouts need: shares of copies, experiments, evidence, labels; and keys to the endpoint."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(255)
MOMENT = sa.DateTime(timezone=True)
NUMBER: sa.Double[float] = sa.Double()
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
ADDED = {
    "predictions": (
        ("experiment", NAME),
        ("phase", NAME),
        ("fallback_from", sa.Integer()),
        ("client", NAME),
    ),
    "variants": (("experiment", NAME),),
}
MADE = ("tallies", "shadows", "labels", "rollouts", "api_keys")


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _optional(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def upgrade() -> None:
    """Add the columns and tables."""
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, _optional(name, kind))
    share = sa.Column("shadow", NUMBER, nullable=False, server_default=sa.text("0"))
    op.add_column("variants", share)
    evidence = sa.Column("evidence", DOCUMENT, nullable=False, server_default=sa.text("'{}'"))
    op.add_column("ledger", evidence)
    _tallies()
    _shadows()
    _labels()
    _rollouts()
    _api_keys()


def _tallies() -> None:
    op.create_table(
        "tallies",
        _needed("model", NAME),
        _needed("phase", NAME),
        _number("version"),
        _needed("measure", NAME),
        _needed("trials", sa.BigInteger()),
        _needed("hits", sa.BigInteger()),
        sa.PrimaryKeyConstraint("model", "phase", "version", "measure", name="pk_tallies"),
    )


def _shadows() -> None:
    op.create_table(
        "shadows",
        _needed("prediction", NAME),
        _number("version"),
        _needed("at", MOMENT),
        _needed("model", NAME),
        _needed("phase", NAME),
        _needed("outputs", DOCUMENT),
        _needed("probability", DOCUMENT),
        _needed("latency_ms", NUMBER),
        _optional("agrees", sa.Boolean()),
        _optional("error", sa.Text()),
        sa.PrimaryKeyConstraint("prediction", "version", name="pk_shadows"),
    )
    op.create_index("ix_shadows_model_at", "shadows", ["model", "at"])


def _labels() -> None:
    op.create_table(
        "labels",
        _needed("prediction", NAME),
        _needed("output", NAME),
        _needed("model", NAME),
        _needed("value", sa.Text()),
        _needed("at", MOMENT),
        _optional("by", NAME),
        _optional("wrong", sa.Boolean()),
        sa.PrimaryKeyConstraint("prediction", "output", name="pk_labels"),
    )
    op.create_index("ix_labels_model_at", "labels", ["model", "at"])


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        _needed("id", NAME),
        _needed("model", NAME),
        _needed("version", sa.Integer()),
        _needed("status", NAME),
        _needed("step", sa.Integer()),
        _needed("phase", NAME),
        _optional("slow_ms", NUMBER),
        _needed("policy", DOCUMENT),
        _needed("started", MOMENT),
        _needed("changed", MOMENT),
        _needed("reason", sa.Text()),
        _needed("by", NAME),
        _optional("run", NAME),
        sa.PrimaryKeyConstraint("id", name="pk_rollouts"),
    )
    op.create_index("ix_rollouts_model_started", "rollouts", ["model", "started"])
    under_way = sa.text("status IN ('shadow', 'canary', 'waiting')")
    op.create_index(
        "uq_rollouts_under_way",
        "rollouts",
        ["model"],
        unique=True,
        sqlite_where=under_way,
        postgresql_where=under_way,
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        _needed("id", NAME),
        _needed("name", NAME),
        _needed("digest", NAME),
        _needed("scopes", DOCUMENT),
        _needed("models", DOCUMENT),
        _optional("rate_per_minute", sa.Integer()),
        _needed("created", MOMENT),
        _optional("revoked", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("name", name="uq_api_keys_name"),
    )


def downgrade() -> None:
    """Drop them and what they hold."""
    for table in reversed(MADE):
        op.drop_table(table)
    op.drop_column("ledger", "evidence")
    op.drop_column("variants", "shadow")
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
