"""What all queries share: connections, transactions, and inserts that ignore what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from modelyard.store.engine import WRITE, describe, translated
from modelyard.store.monitoring_tables import DriftCheckRow
from modelyard.store.tables import Base, LedgerRow


class Connected:
    """Holds the engine; each public method of what derives from it is one transaction."""

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

    def _insert(self, table: type[Base]) -> Any:
        """Return the engine's own insert, which knows ON CONFLICT."""
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        return insert(table)

    def _insert_new(self, table: type[Base]) -> Any:
        """Return an insert that ignores rows whose key is already there."""
        return self._insert(table).on_conflict_do_nothing()

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


def columns_of(table: type[Base], *, without: Sequence[str] = ()) -> Select[Any]:
    """Select plain columns, for rows are made into records at once."""
    names = [column.key for column in table.__table__.columns if column.key not in without]
    chosen: list[InstrumentedAttribute[Any]] = [getattr(table, name) for name in names]
    return select(*chosen)
