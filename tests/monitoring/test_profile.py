"""Profiles are small, merge to the whole, and speak of what was in the table."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelyard.errors import MonitoringError
from modelyard.monitoring import profile as profile_module
from modelyard.monitoring.observe import LONGEST_WORD
from modelyard.monitoring.profile import (
    Profile,
    merge,
    merge_files,
    profile_frame,
    sketches,
    summarise,
    write_profile,
)


def frame(rows: int = 1000) -> pd.DataFrame:
    values = np.arange(rows, dtype="float64")
    return pd.DataFrame(
        {
            "x": np.where(values % 10 == 0, np.nan, values),
            "word": [["a", "b", "b", None][row % 4] for row in range(rows)],
        }
    )


def test_a_summary_says_what_is_in_a_column_of_numbers() -> None:
    found = summarise(profile_frame(frame()))["x"]
    assert (found.count, found.missing, found.minimum, found.maximum) == (1000, 100, 1.0, 999.0)
    assert found.mean == pytest.approx(500.0)
    assert found.median == pytest.approx(500, abs=30)
    assert found.distinct == pytest.approx(900, rel=0.05)


def test_a_summary_says_which_words_are_frequent() -> None:
    found = summarise(profile_frame(frame()))["word"]
    assert {one.value: one.count for one in found.frequent} == {"b": 500, "a": 250}
    assert (found.missing, found.mean, found.minimum) == (250, None, None)


def test_merged_parts_are_the_whole() -> None:
    whole = frame()
    parts = [profile_frame(whole.iloc[start : start + 250]) for start in range(0, 1000, 250)]
    merged, direct = summarise(merge(parts))["x"], summarise(profile_frame(whole))["x"]
    assert (merged.count, merged.missing, merged.mean) == (
        direct.count,
        direct.missing,
        direct.mean,
    )
    assert merged.std == pytest.approx(direct.std)


def test_batches_may_have_different_columns() -> None:
    profile = Profile()
    profile.track(pd.DataFrame({"a": [1.0]}))
    profile.track(pd.DataFrame({"b": ["x", "y"]}))
    profile.track(pd.DataFrame())
    assert {name: one.count for name, one in summarise(profile.to_bytes()).items()} == {
        "a": 1,
        "b": 2,
    }


def test_infinite_and_missing_numbers_do_no_harm() -> None:
    strange = pd.DataFrame({"x": [np.inf, -np.inf, np.nan], "none": [None, None, None]})
    found = summarise(profile_frame(strange))
    assert found["x"].maximum is None
    assert found["none"].missing == 3


def test_files_are_written_whole_and_merge(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_profile(profile_frame(frame()), tmp_path / "deep" / f"{name}.bin")
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["a.bin", "b.bin"]
    assert summarise(merge_files(sorted((tmp_path / "deep").iterdir())))["x"].count == 2000


def test_nothing_to_merge_is_refused() -> None:
    with pytest.raises(MonitoringError, match="no profiles to merge"):
        merge([])


@pytest.mark.parametrize("content", [b"", b"no profile at all"])
def test_a_broken_profile_is_a_monitoring_error(content: bytes) -> None:
    with pytest.raises(MonitoringError, match="whylogs could not read a profile"):
        summarise(content)


def test_whylogs_calls_nobody_and_is_imported_late() -> None:
    program = (
        "import os, sys\n"
        "import modelyard.monitoring.profile as profile\n"
        "assert 'whylogs' not in sys.modules\n"
        "profile.Profile()\n"
        "print(os.environ['WHYLOGS_NO_ANALYTICS'])\n"
    )
    environment = {key: value for key, value in os.environ.items() if "WHYLOGS" not in key}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")


def old_profile(table: pd.DataFrame) -> bytes:
    """A profile as whylogs makes it by itself, with a smaller sketch, as Modelyard once did."""
    core = profile_module._whylogs()
    made = core.DatasetProfile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        made.track(table)
    return bytes(made.view().serialize())


def test_a_profile_says_the_same_as_whylogs_own_way_through_a_table() -> None:
    mixed = frame().assign(
        whole=[row % 500 for row in range(1000)],
        some=[None, 3, "x", True] * 250,
        infinite=[np.inf, 1.0] * 500,
        yes=[True, False] * 500,
    )
    ours, theirs = summarise(profile_frame(mixed)), summarise(old_profile(mixed))
    medians = {"x", "whole"}  # which number near the middle is a matter of chance in a sketch
    for name, column in ours.items():
        update = {"median": None} if name in medians else {}
        assert column.model_copy(update=update) == theirs[name].model_copy(update=update)


def test_profiles_of_an_older_modelyard_are_read_and_merged() -> None:
    old, new = old_profile(frame()), profile_frame(frame())
    for pair in ([old, new], [new, old]):
        found = sketches(merge(pair))
        assert found["x"].count == 2000
        assert found["x"].error < 0.005
        assert found["word"].frequencies == {"b": 1000, "a": 500}


def test_the_sketch_of_numbers_is_exact_while_they_are_few() -> None:
    values = np.array([3.0, 1.0, 2.0, 2.0, np.nan])
    found = sketches(profile_frame(pd.DataFrame({"x": values})))["x"]
    assert found.cdf is not None
    assert found.quantiles is not None
    assert found.cdf(np.array([3.0, 0.0, 2.0, 2.0, np.inf])).tolist() == [1.0, 0.0, 0.75, 0.75, 1.0]
    assert found.quantiles(np.array([0.0, 1.0])).tolist() == [1.0, 3.0]
    assert (found.count, found.missing, found.error) == (5, 1, 0.0)
    assert found.values == 4  # noqa: PD011 - no pandas
    assert (found.mean, found.minimum, found.maximum) == (2.0, 1.0, 3.0)
    assert found.frequencies is None


@pytest.mark.parametrize("shape", ["normal", "exponential", "integers"])
def test_the_sketch_of_many_numbers_is_good_to_half_a_percent(shape: str) -> None:
    random = np.random.default_rng(5)
    draw = {
        "normal": lambda: random.normal(size=40_000),
        "exponential": lambda: random.exponential(size=40_000),
        "integers": lambda: random.integers(0, 9, 40_000).astype("float64"),
    }[shape]
    parts = [draw() for _ in range(3)]
    values = np.sort(np.concatenate(parts))
    found = sketches(merge(profile_frame(pd.DataFrame({"x": part})) for part in parts))["x"]
    assert found.cdf is not None
    points = values[::37]
    exact = np.searchsorted(values, points, side="right") / len(values)
    assert abs(found.cdf(points) - exact).max() < 0.005
    assert 0 < found.error < 0.004


def test_words_are_counted_exactly_or_not_at_all() -> None:
    few = pd.DataFrame({"w": [f"word{number % 3000}" for number in range(6000)]})
    many = pd.DataFrame({"w": [f"word{number}" for number in range(20_000)]})
    counted = sketches(profile_frame(few))["w"].frequencies
    assert counted is not None
    assert (len(counted), set(counted.values())) == (3000, {2})
    assert sketches(profile_frame(many))["w"].frequencies is None
    assert sketches(profile_frame(many))["w"].distinct == pytest.approx(20_000, rel=0.05)


def test_long_words_are_counted_as_they_are_observed() -> None:
    longest = "x" * LONGEST_WORD
    found = sketches(profile_frame(pd.DataFrame({"w": [longest]})))["w"]
    assert found.frequencies == {longest: 1}


def test_a_column_without_values_has_a_sketch_of_nothing() -> None:
    found = sketches(profile_frame(pd.DataFrame({"x": [np.nan] * 3})))["x"]
    assert (found.cdf, found.frequencies, found.missing) == (None, {}, 3)
    assert (found.mean, found.minimum) == (None, None)


def test_words_after_a_batch_without_values_are_counted() -> None:
    profile = Profile()
    profile.track(pd.DataFrame({"w": [np.nan, np.nan]}))
    profile.track(pd.DataFrame({"w": ["a", "a", "b"]}))
    found = sketches(profile.to_bytes())["w"]
    assert found.frequencies == {"a": 2, "b": 1}
    assert (found.count, found.missing) == (5, 2)


@settings(max_examples=25, deadline=None)
@given(
    values=arrays(
        np.float64,
        st.integers(1, 300),
        elements=st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.integers(0, 3).map(float)),
    ),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_merged_profiles_of_parts_are_the_profile_of_the_whole(
    values: np.ndarray, cuts: list[int]
) -> None:
    whole = pd.DataFrame(
        {"x": values, "w": [None if math.isnan(one) else str(int(one)) for one in values]}
    )
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    parts = [whole.iloc[start:end] for start, end in itertools.pairwise(edges)]
    merged, direct = sketches(merge(map(profile_frame, parts))), sketches(profile_frame(whole))
    for name in whole:
        one, other = merged[name], direct[name]
        assert (one.count, one.missing) == (other.count, other.missing)
        assert one.values == other.values  # noqa: PD011 - no pandas
        assert (one.minimum, one.maximum) == (other.minimum, other.maximum)
        assert one.frequencies == other.frequencies
        assert one.distinct == pytest.approx(other.distinct, rel=0.02)
    known = values[np.isfinite(values)]
    if len(known):
        cdf = merged["x"].cdf
        assert cdf is not None
        exact = np.searchsorted(np.sort(known), known, side="right") / len(known)
        assert abs(cdf(known) - exact).max() < 1e-9
        assert merged["x"].mean == pytest.approx(known.mean(), abs=1e-6)
