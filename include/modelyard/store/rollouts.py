"""What is served, what was, and the challengers on their way."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Executable, delete, func, insert, select

from modelyard.errors import StoreError
from modelyard.store.connected import Connected, columns_of
from modelyard.store.records import UNDER_WAY, LedgerEntry, RolloutRecord, Variant
from modelyard.store.tables import LedgerRow, RolloutRow, VariantRow


class RolloutQueries(Connected):
    """Variants, ledger and rollouts."""

    def variants(self, model: str | None = None) -> list[Variant]:
        """Return what should be served, by model and version."""
        query = columns_of(VariantRow).order_by(VariantRow.model, VariantRow.version)
        if model is not None:
            query = query.where(VariantRow.model == model)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Variant.model_validate(dict(row)) for row in rows]

    def move(
        self,
        model: str,
        variants: Sequence[Variant],
        entry: LedgerEntry,
        rollout: RolloutRecord | None = None,
    ) -> None:
        """Replace the model's variants, write the ledger and the rollout, together or not at all.

        An entry whose id the ledger already has was done before, and nothing is changed.

        Raises:
            StoreError: a part of it is another model's, or another rollout is under way.
        """
        named = {variant.model for variant in variants} | {entry.model}
        for other in named | ({rollout.model} if rollout else set()):
            if other != model:
                message = f"a move of {model} cannot change {other}"
                raise StoreError(message)
        with self._writing() as connection:
            self._one_at_a_time(connection, f"move {model}")
            if not self._is_new(connection, LedgerRow, dict(entry)):
                return
            connection.execute(delete(VariantRow).where(VariantRow.model == model))
            if variants:
                connection.execute(insert(VariantRow), [dict(variant) for variant in variants])
            if rollout is not None:
                connection.execute(self._keep(rollout))

    def ledger(self, model: str, limit: int = 100) -> list[LedgerEntry]:
        """Return the model's last changes, newest first."""
        query = columns_of(LedgerRow, without=("number",)).where(LedgerRow.model == model)
        query = query.order_by(LedgerRow.number.desc()).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [LedgerEntry.model_validate(dict(row)) for row in rows]

    def phases(self) -> dict[str, str]:
        """Return each model's phase: the id of its newest ledger row, with which counts begin."""
        newest = select(func.max(LedgerRow.number)).group_by(LedgerRow.model)
        query = select(LedgerRow.model, LedgerRow.id).where(LedgerRow.number.in_(newest))
        with self._reading() as connection:
            return {row.model: row.id for row in connection.execute(query)}

    def rollout(self, model: str) -> RolloutRecord | None:
        """Return the model's rollout that is under way, or None."""
        query = columns_of(RolloutRow).where(
            RolloutRow.model == model, RolloutRow.status.in_(sorted(UNDER_WAY))
        )
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else RolloutRecord.model_validate(dict(row))

    def rollouts(self, model: str | None = None, limit: int = 100) -> list[RolloutRecord]:
        """Return the last rollouts, newest first."""
        query = columns_of(RolloutRow).order_by(RolloutRow.started.desc(), RolloutRow.id)
        if model is not None:
            query = query.where(RolloutRow.model == model)
        with self._reading() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
        return [RolloutRecord.model_validate(dict(row)) for row in rows]

    def save_rollout(self, rollout: RolloutRecord) -> None:
        """Write a rollout, new or again.

        Raises:
            StoreError: another rollout of the model is under way.
        """
        with self._writing() as connection:
            connection.execute(self._keep(rollout))

    def _keep(self, rollout: RolloutRecord) -> Executable:
        values = dict(rollout)
        changed = {name: value for name, value in values.items() if name != "id"}
        statement = self._insert(RolloutRow).values(values)
        kept: Executable = statement.on_conflict_do_update(index_elements=["id"], set_=changed)
        return kept
