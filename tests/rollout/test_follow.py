"""Which aliases are followed, and which are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.rollout.follow import AliasState, Answer, answer

numbers = st.none() | st.integers(1, 4)


@pytest.mark.parametrize(
    ("bearer", "noted", "wanted", "expected"),
    [
        (2, 2, 2, "agree"),
        (None, None, None, "agree"),
        (2, None, 2, "note"),  # made by an older Modelyard
        (1, 1, 2, "write"),  # MLflow was away when 2 was promoted
        (3, 2, 2, "follow"),  # a person moved it
        (3, None, None, "follow"),  # a person gave it
        (None, 2, 2, "write"),  # a person deleted it, which is no order
        (None, 2, None, "note"),
        (9, 9, 2, "leave"),  # registered, and not deployed yet
    ],
)
def test_an_alias_is_answered(
    bearer: int | None, noted: int | None, wanted: int | None, expected: Answer
) -> None:
    assert answer(AliasState(bearer, noted, wanted), {1, 2, 3}) == expected


def test_the_first_look_at_an_older_registry_moves_no_traffic() -> None:
    assert answer(AliasState(1, None, 2, ever_noted=False), {1, 2}) == "note"


@given(numbers, numbers, numbers)
def test_what_modelyard_wrote_is_never_followed(
    bearer: int | None, noted: int | None, wanted: int | None
) -> None:
    found = answer(AliasState(bearer, noted, wanted), {1, 2, 3, 4})
    if bearer in {noted, wanted}:
        assert found != "follow"
    if found == "follow":
        assert bearer is not None
