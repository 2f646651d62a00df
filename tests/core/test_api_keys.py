"""Keys: made, hashed and checked."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard import api_keys
from modelyard.api_keys import SCOPES, allows, digest, make_key, verify
from modelyard.errors import UsageError
from modelyard.store.records import ApiKey

MADE = make_key("shop", ["predict"])
OTHER = make_key("ops", ["admin"])
TABLE = {made.record.id: made.record for made in (MADE, OTHER)}


def test_a_key_is_known_by_its_text() -> None:
    assert verify(MADE.text, TABLE) is MADE.record
    assert verify(OTHER.text, TABLE) is OTHER.record


def test_only_a_hash_is_kept() -> None:
    secret = MADE.text.split("_", 2)[2]
    assert secret not in MADE.record.model_dump_json()
    assert MADE.record.digest == digest(MADE.text)


def test_a_key_is_not_seen_where_objects_are_printed() -> None:
    assert MADE.text not in repr(MADE)
    assert MADE.text not in str(MADE)
    assert MADE.record.digest not in repr(MADE)


def test_no_two_keys_are_alike() -> None:
    made = [make_key("same", ["predict"]) for _ in range(50)]
    assert len({key.text for key in made}) == len({key.record.id for key in made}) == 50


def test_a_secret_has_256_bits() -> None:
    secret = MADE.text.split("_", 2)[2]
    assert len(secret) == 43  # base64 without padding
    assert set(secret) <= {*string.ascii_letters, *string.digits, "-", "_"}


def test_the_secret_of_one_key_does_not_fit_another() -> None:
    mixed = f"mdy_{OTHER.record.id}_{MADE.text.split('_', 2)[2]}"
    assert verify(mixed, TABLE) is None


def test_a_revoked_key_is_not_known() -> None:
    gone = MADE.record.model_copy(update={"revoked": datetime.now(UTC)})
    assert verify(MADE.text, {gone.id: gone}) is None


@given(st.text(max_size=300))
def test_no_other_text_is_a_key(text: str) -> None:
    assert verify(text, TABLE) is None


@given(st.integers(0, len(MADE.text) - 1), st.characters())
def test_one_changed_character_is_enough(place: int, character: str) -> None:
    changed = MADE.text[:place] + character + MADE.text[place + 1 :]
    assert (verify(changed, TABLE) is not None) == (changed == MADE.text)


def test_an_unknown_id_is_compared_as_a_known_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time of an answer would tell which ids there are."""
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(api_keys.hmac, "compare_digest", compare)
    verify(f"mdy_{'0' * 16}_x", TABLE)
    verify(f"mdy_{MADE.record.id}_x", TABLE)
    assert [(len(one), len(other)) for one, other in compared] == [(64, 64), (64, 64)]


def test_an_empty_key_does_not_match_nobody() -> None:
    assert verify("", TABLE) is None
    nobody = MADE.record.model_copy(update={"id": ""})
    assert verify("", {"": nobody}) is None


def test_admin_has_every_scope() -> None:
    assert all(allows(OTHER.record, scope) for scope in SCOPES)
    assert [scope for scope in SCOPES if allows(MADE.record, scope)] == ["predict"]


def test_every_key_has_any_scope() -> None:
    assert allows(MADE.record, None)


def test_scopes_are_kept_once_and_in_order() -> None:
    record: ApiKey = make_key("a", ["feedback", "predict", "feedback"], ["m", "m"]).record
    assert record.scopes == ("predict", "feedback")
    assert record.models == ("m",)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a\n", "ä", "x" * 65, "a/b"])
def test_a_name_that_could_confuse_a_log_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        make_key(name, ["predict"])


@pytest.mark.parametrize("scopes", [[], ["predikt"]])
def test_scopes_that_do_not_exist_are_refused(scopes: list[str]) -> None:
    with pytest.raises(UsageError, match="scope") as refused:
        make_key("shop", scopes)
    assert "predict" in str(refused.value)


def test_a_rate_of_none_a_minute_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        make_key("shop", ["predict"], rate_per_minute=0)
