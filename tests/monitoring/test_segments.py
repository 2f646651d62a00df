"""Every process divides rows alike, into few segments, whatever values come."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from modelyard.monitoring.segments import (
    MOST_VALUES,
    OTHERS,
    Segmentation,
    read_segmentation,
    segmentation,
)

SITES = pd.DataFrame({"site": ["north"] * 3 + ["south"] * 2 + [None]})


def by(reference: pd.DataFrame, column: str = "site") -> Segmentation:
    found = segmentation(reference, column)
    assert found is not None
    return found


def test_each_value_of_the_reference_has_a_segment_and_new_ones_share_one() -> None:
    divided = by(SITES)
    assert divided.names == ("site=north", "site=south", f"site={OTHERS}")
    assert divided.of({"site": "south"}) == "site=south"
    assert divided.of({"site": "mars"}) == divided.of({"site": None}) == divided.of({})


def test_others_that_the_reference_lacks_are_not_compared() -> None:
    divided = by(SITES.dropna())
    assert divided.names == ("site=north", "site=south")
    assert divided.of({"site": "mars"}) == f"site={OTHERS}"


def test_of_many_values_the_most_frequent_have_segments() -> None:
    values = [f"v{number}" for number in range(50) for _ in range(50 - number)]
    divided = by(pd.DataFrame({"site": values}))
    assert divided.of({"site": f"v{MOST_VALUES - 1}"}) == f"site=v{MOST_VALUES - 1}"
    assert divided.of({"site": f"v{MOST_VALUES}"}) == f"site={OTHERS}"
    assert len(divided.names) == MOST_VALUES + 1


@pytest.mark.parametrize("value", [3, 3.0, "3"])
def test_a_number_is_one_segment_however_it_is_written(value: object) -> None:
    divided = by(pd.DataFrame({"level": [1.0, 2.0, 3.0]}), "level")
    assert divided.of({"level": value}) == "level=3"


def test_a_value_that_is_called_others_is_one_of_them() -> None:
    divided = by(pd.DataFrame({"site": [OTHERS, "north"]}))
    assert divided.names == ("site=north", f"site={OTHERS}")


def test_the_segments_of_a_table_are_all_its_rows() -> None:
    divided = by(SITES)
    parts = [divided.rows(SITES, name) for name in divided.names]
    assert [len(part) for part in parts] == [3, 2, 1]
    assert sorted(index for part in parts for index in part.index) == list(SITES.index)
    assert len(divided.rows(pd.DataFrame({"x": [1]}), f"site={OTHERS}")) == 1


@pytest.mark.parametrize("column", [None, "planet"])
def test_without_such_a_column_there_are_no_segments(reference: Path, column: str | None) -> None:
    assert segmentation(SITES, column) is None
    assert read_segmentation(reference, column) is None


def test_segments_follow_from_the_kept_reference(reference: Path, tmp_path: Path) -> None:
    divided = read_segmentation(reference, "site")
    assert divided is not None
    assert divided.names == ("site=east", "site=north", "site=south")
    assert read_segmentation(tmp_path / "none", "site") is None
