"""What the database knows of one prediction beside its row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select

from modelyard.store.connected import Connected, columns_of
from modelyard.store.evidence import ABOUT
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.store.monitoring_tables import AlertRow, RetrainingRow
from modelyard.store.records import Label, LedgerEntry, ShadowRecord
from modelyard.store.tables import LabelRow, LedgerRow, ShadowRow


class LineageQueries(Connected):
    """Labels, unseen answers, ledger row and alerts of one prediction."""

    def labels_of(self, prediction: str) -> list[Label]:
        """Return what turned out to be true of a prediction, by output."""
        query = columns_of(LabelRow, without=ABOUT).where(LabelRow.prediction == prediction)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(LabelRow.output)).mappings().all()
        return [Label.model_validate(dict(row)) for row in rows]

    def shadows_of(self, prediction: str) -> list[ShadowRecord]:
        """Return what other versions answered to it unseen, by version."""
        query = columns_of(ShadowRow).where(ShadowRow.prediction == prediction)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(ShadowRow.version)).mappings().all()
        return [ShadowRecord.model_validate(dict(row)) for row in rows]

    def ledger_until(self, phase: str) -> list[LedgerEntry]:
        """Return a ledger row and those before it of the same model, newest first; empty if unknown."""
        this = select(LedgerRow.model, LedgerRow.number).where(LedgerRow.id == phase).subquery()
        query = columns_of(LedgerRow, without=("number",))
        query = query.join(this, LedgerRow.model == this.c.model)
        query = query.where(LedgerRow.number <= this.c.number).order_by(LedgerRow.number.desc())
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [LedgerEntry.model_validate(dict(row)) for row in rows]

    def alerts_at(self, model: str, version: int, moment: datetime) -> list[AlertRecord]:
        """Return the version's alerts that had begun by then and not ended, oldest first."""
        query = columns_of(AlertRow).where(
            AlertRow.model == model,
            AlertRow.version == version,
            AlertRow.onset <= moment,
            or_(AlertRow.ended.is_(None), AlertRow.ended >= moment),
        )
        with self._reading() as connection:
            rows = connection.execute(query.order_by(AlertRow.onset, AlertRow.id)).mappings().all()
        return [AlertRecord.model_validate(dict(row)) for row in rows]

    def retraining_of(self, model: str, version: int) -> RetrainingRecord | None:
        """Return the retraining that a version came of, or None."""
        query = columns_of(RetrainingRow).where(
            RetrainingRow.model == model, RetrainingRow.version == version
        )
        with self._reading() as connection:
            row = connection.execute(query.order_by(RetrainingRow.asked)).mappings().first()
        return None if row is None else RetrainingRecord.model_validate(dict(row))
