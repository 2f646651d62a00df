"""What state a database is in, without changing it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.store import migrate
from modelyard.store.database import open_store
from modelyard.store.engine import describe, make_engine, parse_url


class DatabaseState(BaseModel):
    """Where a database is, and which revision it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field(description="Its kind and place, without a password.")
    revision: str | None = Field(description="Its revision; null if it has no tables yet.")
    newest: str = Field(description="The newest revision that this Modelyard knows.")
    state: Literal["current", "empty", "behind", "newer"] = Field(description="How they compare.")

    @property
    def in_words(self) -> str:
        """The state for people."""
        return {
            "current": f"revision {self.revision}, up to date",
            "empty": "no tables yet; they are made when it is first opened",
            "behind": f"revision {self.revision}, the newest is {self.newest}",
            "newer": f"revision {self.revision} is of a newer Modelyard than this one",
        }[self.state]


def read_state(url: str) -> DatabaseState:
    """Look at a database; one that is not there is not made."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        return _state(describe(parsed), None)
    engine = make_engine(parsed)
    try:
        return _state(describe(parsed), migrate.current(engine))
    finally:
        engine.dispose()


def upgrade_database(url: str) -> DatabaseState:
    """Bring a database to the newest revision."""
    open_store(url).close()
    return read_state(url)


def _state(database: str, revision: str | None) -> DatabaseState:
    newest = migrate.head()
    if revision is None:
        state: Literal["current", "empty", "behind", "newer"] = "empty"
    elif revision == newest:
        state = "current"
    else:
        state = "behind" if revision in migrate.revisions() else "newer"
    return DatabaseState(database=database, revision=revision, newest=newest, state=state)
