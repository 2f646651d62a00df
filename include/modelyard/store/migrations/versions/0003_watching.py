"""What watching needs: inputs kept whole, segments, all measures, performance, alerts, retrainings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.String(255)
MOMENT = sa.DateTime(timezone=True)
NUMBER: sa.Double[float] = sa.Double()
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
MADE = ("performance_checks", "alerts", "alert_events", "retrainings")
OLD_MEASURES = ("psi", "js")


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _optional(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _with_default(name: str, kind: sa.types.TypeEngine[Any], default: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, server_default=sa.text(f"'{default}'"))


def upgrade() -> None:
    """Add the columns and tables."""
    op.add_column("predictions", _optional("raw", DOCUMENT))
    op.add_column("predictions", _optional("embedding", DOCUMENT))
    op.add_column("drift_checks", _with_default("segment", NAME, ""))
    op.add_column("drift_checks", _with_default("source", NAME, "rows"))
    op.add_column("verdicts", _with_default("measures", DOCUMENT, "{}"))
    op.add_column("verdicts", _optional("since", MOMENT))
    _gather_measures()
    for name in OLD_MEASURES:
        op.drop_column("verdicts", name)
    _performance()
    _alerts()
    _alert_events()
    _retrainings()


def _gather_measures() -> None:
    """Put what had columns of its own into the one document, without what was not measured."""
    if op.get_context().dialect.name == "sqlite":
        gathered = "json_patch('{}', json_object('psi', psi, 'jensen_shannon', js))"
    else:
        gathered = (
            "jsonb_strip_nulls(jsonb_build_object("
            "'psi', NULLIF(psi, 'NaN'), 'jensen_shannon', NULLIF(js, 'NaN')))"
        )
    op.execute(f"UPDATE verdicts SET measures = {gathered}")  # noqa: S608 - one of the two above


def _performance() -> None:
    op.create_table(
        "performance_checks",
        _needed("id", NAME),
        _needed("at", MOMENT),
        _needed("model", NAME),
        _needed("version", sa.Integer()),
        _needed("window", NAME),
        _needed("segment", NAME),
        _needed("rows", sa.Integer()),
        _needed("labelled", sa.Integer()),
        _needed("first_at", MOMENT),
        _needed("last_at", MOMENT),
        _needed("alpha", NUMBER),
        _optional("run", NAME),
        _needed("metrics", DOCUMENT),
        sa.PrimaryKeyConstraint("id", name="pk_performance_checks"),
    )
    op.create_index("ix_performance_checks_model_at", "performance_checks", ["model", "at"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        _needed("id", NAME),
        _needed("model", NAME),
        _needed("version", sa.Integer()),
        *(_needed(name, NAME) for name in ("kind", "subject", "segment", "level", "worst")),
        _needed("value", NUMBER),
        _needed("peak", NUMBER),
        _needed("windows", DOCUMENT),
        _needed("reason", sa.Text()),
        *(_needed(name, MOMENT) for name in ("onset", "opened", "seen")),
        *(_optional(name, MOMENT) for name in ("eased", "gone", "ended")),
        _optional("ending", sa.Text()),
        _optional("check", NAME),
        _optional("report", sa.Text()),
        _optional("run", NAME),
        _optional("acknowledged", MOMENT),
        _optional("acknowledged_by", NAME),
        _optional("comment", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_model_opened", "alerts", ["model", "opened"])
    is_open = sa.text("ended IS NULL")
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["model", "version", "kind", "subject", "segment"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _alert_events() -> None:
    counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "alert_events",
        sa.Column("number", counter, nullable=False),
        *(_needed(name, NAME) for name in ("id", "alert", "model")),
        _needed("at", MOMENT),
        _needed("change", NAME),
        _needed("level", NAME),
        _needed("deliver", sa.Boolean()),
        _optional("delivered", MOMENT),
        _needed("tries", sa.Integer()),
        _optional("error", sa.Text()),
        _with_default("reached", DOCUMENT, "[]"),
        sa.PrimaryKeyConstraint("number", name="pk_alert_events"),
        sa.UniqueConstraint("id", name="uq_alert_events_id"),
    )
    op.create_index("ix_alert_events_alert_number", "alert_events", ["alert", "number"])
    waiting = sa.text("deliver AND delivered IS NULL")
    op.create_index(
        "ix_alert_events_waiting",
        "alert_events",
        ["number"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _retrainings() -> None:
    op.create_table(
        "retrainings",
        *(_needed(name, NAME) for name in ("id", "model", "alert")),
        _needed("asked", MOMENT),
        _needed("status", NAME),
        _needed("changed", MOMENT),
        _optional("revision", sa.Text()),
        _optional("rows", sa.Integer()),
        _optional("run", NAME),
        _optional("version", sa.Integer()),
        _needed("reason", sa.Text()),
        _needed("evidence", DOCUMENT),
        sa.PrimaryKeyConstraint("id", name="pk_retrainings"),
        sa.UniqueConstraint("alert", name="uq_retrainings_alert"),
    )
    op.create_index("ix_retrainings_model_asked", "retrainings", ["model", "asked"])


def downgrade() -> None:
    """Drop them and what they hold."""
    for table in reversed(MADE):
        op.drop_table(table)
    for name in OLD_MEASURES:
        op.add_column("verdicts", _optional(name, NUMBER))
    for table, names in {
        "verdicts": ("since", "measures"),
        "drift_checks": ("source", "segment"),
        "predictions": ("embedding", "raw"),
    }.items():
        for name in names:
            op.drop_column(table, name)
