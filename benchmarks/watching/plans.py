"""How an engine finds what it is asked: each statement of a question with its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from modelyard.store.database import Store

type Statement = tuple[str, Any]


def plans_of(store: Store, ask: Callable[[], object]) -> Iterator[tuple[str, list[str]]]:
    """Ask once, and yield each statement that this sent with the lines of its plan."""
    engine: Engine = store._engine  # noqa: SLF001 - nobody else may have it
    with _listening(engine) as sent:
        ask()
    with engine.connect() as connection:
        for statement, parameters in sent:
            if statement.lstrip().upper().startswith(("SELECT", "WITH")):
                yield " ".join(statement.split()), _plan(connection, statement, parameters)


@contextmanager
def _listening(engine: Engine) -> Iterator[list[Statement]]:
    sent: list[Statement] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: Any, *_: Any
    ) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _plan(connection: Connection, statement: str, parameters: Any) -> list[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [str(row[3]) for row in rows]
    rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}", parameters)
    return [str(row[0]) for row in rows]
