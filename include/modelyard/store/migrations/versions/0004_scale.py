"""What a million predictions need: labels found by what they are about, the newest check of a window."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ABOUT = ("version", "answered")
CHECKS = ("drift_checks", "performance_checks")
WINDOW = ["model", "segment", "version", "window", "at"]
LABELS = ["model", "version", "answered", "prediction"]


def upgrade() -> None:
    """Add the columns, fill them from the predictions, and make the indices."""
    op.add_column("labels", sa.Column("version", sa.Integer(), nullable=True))
    op.add_column("labels", sa.Column("answered", MOMENT, nullable=True))
    of_label = "FROM predictions WHERE predictions.id = labels.prediction"
    op.execute(
        f"UPDATE labels SET version = (SELECT version {of_label}), "  # noqa: S608 - one constant
        f"answered = (SELECT at {of_label})"
    )
    op.create_index(_name("labels", LABELS), "labels", LABELS)
    for table in CHECKS:
        op.create_index(_name(table, WINDOW), table, WINDOW)


def downgrade() -> None:
    """Drop them."""
    for table in CHECKS:
        op.drop_index(_name(table, WINDOW), table)
    op.drop_index(_name("labels", LABELS), "labels")
    for name in reversed(ABOUT):
        op.drop_column("labels", name)


def _name(table: str, columns: list[str]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
