"""Keys to the endpoint."""

from __future__ import annotations

from sqlalchemy import update

from modelyard.errors import StoreError
from modelyard.store.connected import Connected, columns_of
from modelyard.store.records import ApiKey, now
from modelyard.store.tables import ApiKeyRow


class KeyQueries(Connected):
    """API keys."""

    def api_keys(self) -> list[ApiKey]:
        """Return all keys, revoked ones too, by name."""
        with self._reading() as connection:
            rows = connection.execute(columns_of(ApiKeyRow).order_by(ApiKeyRow.name)).mappings()
            return [ApiKey.model_validate(dict(row)) for row in rows]

    def add_api_key(self, key: ApiKey) -> None:
        """Keep a new key.

        Raises:
            StoreError: there is one of this name.
        """
        row = {**dict(key), "scopes": list(key.scopes), "models": list(key.models)}
        statement = self._insert_new(ApiKeyRow).values(row).returning(ApiKeyRow.id)
        with self._writing() as connection:
            if connection.execute(statement).first() is None:
                message = f"there is a key {key.name} already"
                raise StoreError(message, hint="choose another name; names are not used again")

    def revoke_api_key(self, name: str) -> bool:
        """Take a key back; return whether there was a valid one of this name."""
        statement = (
            update(ApiKeyRow)
            .where(ApiKeyRow.name == name, ApiKeyRow.revoked.is_(None))
            .values(revoked=now())
        )
        with self._writing() as connection:
            return connection.execute(statement).rowcount > 0
