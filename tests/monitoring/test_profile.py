"""Profiles are small, merge to the whole, and speak of what was in the table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelyard.errors import MonitoringError
from modelyard.monitoring.profile import (
    Profile,
    merge,
    merge_files,
    profile_frame,
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
