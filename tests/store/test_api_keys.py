"""Keys are kept without their secrets, and a name is used once."""

from __future__ import annotations

import pytest

from modelyard.errors import StoreError
from modelyard.store.database import Store
from modelyard.store.records import ApiKey


def key(name: str = "app", **changes: object) -> ApiKey:
    fields = {"id": f"id-{name}", "name": name, "digest": "00ff", "scopes": ("predict",)}
    return ApiKey.model_validate({**fields, **changes})


def test_a_key_comes_back_as_it_was_made(store: Store) -> None:
    made = key(models=("digits",), rate_per_minute=60)
    store.add_api_key(made)
    assert store.api_keys() == [made]


def test_a_revoked_key_stays_in_the_list_and_is_revoked_once(store: Store) -> None:
    store.add_api_key(key())
    assert store.revoke_api_key("app")
    assert not store.revoke_api_key("app")
    assert not store.revoke_api_key("nobody")
    (found,) = store.api_keys()
    assert found.revoked is not None
    assert found.revoked >= found.created


def test_a_name_is_used_once(store: Store) -> None:
    store.add_api_key(key())
    with pytest.raises(StoreError, match="already"):
        store.add_api_key(key(id="other"))


def test_a_digest_is_not_shown_in_a_repr() -> None:
    assert "00ff" not in repr(key())
