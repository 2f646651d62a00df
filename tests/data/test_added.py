"""Added rows find their split by themselves, and move nobody."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelyard.data.added import BASE, MARKER, place
from modelyard.data.assign import Fractions
from modelyard.data.split import assign_rows
from modelyard.errors import DataError
from modelyard.spec.data import SplitSpec

NAMES = st.text(max_size=20)
SHARES = st.sampled_from([(0.7, 0.1, 0.2), (1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.8, 0.0, 0.2)])


def table_of(former: list[int], added: list[int], group: bool = False) -> pd.DataFrame:
    values = [*former, *added]
    marks = [BASE] * len(former) + [f"p{value}" for value in added]
    columns: dict[str, object] = {"x": values, MARKER: marks}
    if group:
        columns["who"] = [f"g{value % 7}" for value in values]
    return pd.DataFrame(columns)


@given(name=NAMES, fractions=SHARES, seed=st.integers(0, 1000))
def test_a_place_is_one_that_has_a_share_and_stays(
    name: str, fractions: Fractions, seed: int
) -> None:
    split = place(name, fractions, seed)
    assert fractions[split] > 0
    assert place(name, fractions, seed) == split


def test_places_are_spread_as_the_shares_say() -> None:
    counts = Counter(place(f"{n:032x}", (0.7, 0.1, 0.2), 42) for n in range(4000))
    for split, share in enumerate((0.7, 0.1, 0.2)):
        # six standard deviations of a binomial count
        assert abs(counts[split] / 4000 - share) < 6 * (share * (1 - share) / 4000) ** 0.5


@settings(max_examples=40)
@given(
    former=st.lists(st.integers(0, 999), min_size=12, max_size=40, unique=True),
    added=st.lists(st.integers(1000, 1999), min_size=2, max_size=40, unique=True),
    group=st.booleans(),
    data=st.data(),
)
def test_no_row_is_moved_by_others_wherever_they_stand(
    former: list[int], added: list[int], group: bool, data: st.DataObject
) -> None:
    how = SplitSpec(group="who") if group else SplitSpec()
    table = table_of(former, added, group)
    fewer = table_of(former, added[: len(added) // 2], group)
    shuffled = table.iloc[data.draw(st.permutations(range(len(table))))].reset_index(drop=True)
    try:
        alone = _splits(table_of(former, [], group).drop(columns=MARKER), how)
    except DataError:  # too few groups for three splits, as ever
        assume(False)
    whole = _splits(table, how)
    assert whole.items() >= alone.items()
    assert whole.items() >= _splits(fewer, how).items()
    assert _splits(shuffled, how).items() >= {x: whole[x] for x in added}.items()


def _splits(table: pd.DataFrame, how: SplitSpec) -> dict[int, int]:
    return dict(zip(table["x"], assign_rows(table, how), strict=True))


def test_an_added_row_goes_with_its_group() -> None:
    table = table_of(list(range(40)), list(range(1000, 1100)), group=True)
    splits = assign_rows(table, SplitSpec(group="who"))
    where = {group: set() for group in table["who"]}
    for group, split in zip(table["who"], splits, strict=True):
        where[group].add(split)
    assert {len(found) for found in where.values()} == {1}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(SplitSpec(), id="random"),
        pytest.param(SplitSpec(stratify="x"), id="stratified"),
        pytest.param(SplitSpec(column="part"), id="column"),
    ],
)
def test_a_table_without_added_rows_is_divided_as_ever(how: SplitSpec) -> None:
    parts = ["train", "validation", "test"] * 10
    table = pd.DataFrame({"x": [n % 3 for n in range(30)], "y": range(30), "part": parts})
    marked = table.assign(**{MARKER: BASE})
    assert assign_rows(marked, how) == assign_rows(table, how)
