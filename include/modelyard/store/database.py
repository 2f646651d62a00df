"""The one way to Modelyard's database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from modelyard.errors import StoreError
from modelyard.store import migrate
from modelyard.store.engine import WRITE, describe, make_engine, parse_url, translated
from modelyard.store.records import DriftCheck, LedgerEntry, PredictionRecord, Variant, Verdict
from modelyard.store.tables import (
    Base,
    DriftCheckRow,
    LedgerRow,
    Prediction,
    VariantRow,
    VerdictRow,
)

BATCH = 5_000


def open_store(url: str) -> Store:
    """Open Modelyard's database, bringing it to the newest revision first; safe in parallel."""
    engine = make_engine(parse_url(url))
    try:
        migrate.upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


class Store:
    """Queries and writes; each method is one transaction, and safe from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {describe(self._engine.url)}>"

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._engine.url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with (
            translated(self._engine.url),
            self._engine.connect().execution_options(**WRITE) as connection,
            connection.begin(),
        ):
            yield connection

    def log_predictions(self, records: Sequence[PredictionRecord]) -> None:
        """Keep predictions; ids that are already there are ignored, so a retry is safe."""
        if not records:
            return
        # One order for all writers, so that two batches with common ids cannot deadlock.
        rows = [dict(record) for record in sorted(records, key=lambda record: record.id)]
        with self._writing() as connection:
            connection.execute(self._insert_new(Prediction), rows)

    def prediction(self, prediction_id: str) -> PredictionRecord | None:
        """Return one prediction, or None."""
        query = _columns(Prediction).where(Prediction.id == prediction_id)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else PredictionRecord.model_validate(dict(row))

    def predictions(
        self, model: str, *, last: int | None, version: int | None = None
    ) -> list[PredictionRecord]:
        """Return the model's `last` predictions, or all, newest first."""
        return [
            record
            for batch in self.prediction_batches(model, last=last, version=version)
            for record in batch
        ]

    def prediction_batches(
        self, model: str, *, last: int | None, version: int | None = None, size: int = BATCH
    ) -> Iterator[list[PredictionRecord]]:
        """Yield the same as `predictions`, in pieces of `size`, so that memory stays flat."""
        query = _columns(Prediction).where(Prediction.model == model)
        if version is not None:
            query = query.where(Prediction.version == version)
        query = query.order_by(Prediction.at.desc(), Prediction.id.desc()).limit(last)
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=size).execute(query).mappings()
            for batch in rows.partitions(size):
                yield [PredictionRecord.model_validate(dict(row)) for row in batch]

    def variants(self, model: str | None = None) -> list[Variant]:
        """Return what should be served, by model and version."""
        query = _columns(VariantRow).order_by(VariantRow.model, VariantRow.version)
        if model is not None:
            query = query.where(VariantRow.model == model)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Variant.model_validate(dict(row)) for row in rows]

    def move(self, model: str, variants: Sequence[Variant], entry: LedgerEntry) -> None:
        """Replace the model's variants and write the ledger, together or not at all.

        An entry whose id the ledger already has was done before, and nothing is changed.
        """
        for other in {variant.model for variant in variants} | {entry.model}:
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

    def ledger(self, model: str, limit: int = 100) -> list[LedgerEntry]:
        """Return the model's last changes, newest first."""
        query = _columns(LedgerRow, without=("number",)).where(LedgerRow.model == model)
        query = query.order_by(LedgerRow.number.desc()).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [LedgerEntry.model_validate(dict(row)) for row in rows]

    def save_verdicts(self, check: DriftCheck) -> None:
        """Keep a comparison with the verdict of each column; one that is there is left alone."""
        row = {key: value for key, value in check if key != "verdicts"}
        verdicts = [
            {"check_id": check.id, "position": position, **dict(verdict)}
            for position, verdict in enumerate(check.verdicts)
        ]
        with self._writing() as connection:
            if self._is_new(connection, DriftCheckRow, row) and verdicts:
                connection.execute(insert(VerdictRow), verdicts)

    def verdicts(self, model: str, limit: int = 100) -> list[DriftCheck]:
        """Return the model's last comparisons with their verdicts, newest first."""
        query = _columns(DriftCheckRow).where(DriftCheckRow.model == model)
        query = query.order_by(DriftCheckRow.at.desc(), DriftCheckRow.id).limit(limit)
        with self._reading() as connection:
            checks = connection.execute(query).mappings().all()
            columns = self._verdicts_of(connection, [check["id"] for check in checks])
        return [
            DriftCheck.model_validate({**check, "verdicts": columns.get(check["id"], ())})
            for check in checks
        ]

    @staticmethod
    def _verdicts_of(connection: Connection, checks: Sequence[str]) -> dict[str, list[Verdict]]:
        found: dict[str, list[Verdict]] = {}
        columns = _columns(VerdictRow, without=("position",)).order_by(VerdictRow.position)
        for some in batched(checks, 500):
            query = columns.where(VerdictRow.check_id.in_(some))
            for row in connection.execute(query).mappings():
                values = dict(row)
                found.setdefault(values.pop("check_id"), []).append(Verdict.model_validate(values))
        return found

    def _insert_new(self, table: type[Base]) -> Any:
        """Return an insert that ignores rows whose key is already there."""
        if self._engine.dialect.name == "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing()
        return postgresql.insert(table).on_conflict_do_nothing()

    def _is_new(
        self,
        connection: Connection,
        table: type[LedgerRow | DriftCheckRow],
        row: dict[str, object],
    ) -> bool:
        """Insert a row unless its id is there; say whether it was not."""
        statement = self._insert_new(table).values(row).returning(table.id)
        return connection.execute(statement).first() is not None

    @staticmethod
    def _one_at_a_time(connection: Connection, what: str) -> None:
        """Let no other transaction do the same until this one ends; SQLite has one writer anyway."""
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))


def _columns(table: type[Base], *, without: Sequence[str] = ()) -> Select[Any]:
    """Select plain columns, for rows are made into records at once."""
    names = [column.key for column in table.__table__.columns if column.key not in without]
    chosen: list[InstrumentedAttribute[Any]] = [getattr(table, name) for name in names]
    return select(*chosen)
