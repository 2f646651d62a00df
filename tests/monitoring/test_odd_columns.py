"""Columns that people really have: spelt in two ways, constant, empty on one side, with one outlier."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from modelyard.monitoring.drift import compare
from modelyard.monitoring.observe import word
from modelyard.monitoring.profile import profile_frame, sketches
from modelyard.monitoring.segments import segmentation
from modelyard.monitoring.sketches import sampled
from modelyard.monitoring.statistics.numbers import Moments, welch
from modelyard.monitoring.window import parse_segment, span_of
from modelyard.spec.models import MonitorSpec


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        ("2.0", "2"),
        (2.0, "2"),
        ("True", "true"),
        (False, "false"),
        ("2.5", "2.5"),
        ("v2.0", "v2.0"),
        ("-3.0", "-3"),
    ],
)
def test_a_category_is_spelt_in_one_way(value: object, spelt: str) -> None:
    assert word(value) == spelt


def test_classes_that_the_log_spells_as_python_does_are_no_drift() -> None:
    dice = np.random.default_rng(1)
    known, seen = dice.integers(0, 3, 900), dice.integers(0, 3, 600)
    reference = pd.DataFrame(
        {"code": known.astype(str), "flag": np.where(known > 1, "true", "false")}
    )
    live = pd.DataFrame({"code": [f"{n}.0" for n in seen], "flag": [str(n > 1) for n in seen]})
    assert not any(verdict.drifted for verdict in compare(reference, live, MonitorSpec()))


def test_such_classes_belong_to_their_segments() -> None:
    divided = segmentation(pd.DataFrame({"site": [1.0, 2.0, 2.0]}), "site")
    assert divided is not None
    assert divided.of({"site": "2.0"}) == "site=2"
    segment = parse_segment("site=2")
    assert segment is not None
    assert len(segment.keep(pd.DataFrame({"site": ["2.0", 2, "1.0"]}))) == 2


def test_one_outlier_keeps_its_own_weight_in_a_sketch() -> None:
    values = np.append(np.random.default_rng(1).normal(size=50_000), 1e6)
    assert sampled(sketches(profile_frame(pd.DataFrame({"x": values})))["x"]).max() < 1e6
    few = np.append(values[:100], 1e6)
    assert sampled(sketches(profile_frame(pd.DataFrame({"x": few})))["x"]).max() == 1e6


def test_a_span_longer_than_there_have_been_years_is_all_of_them() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    span = span_of("999999d", moment)
    assert span.since is not None
    assert (span.since.year, span.until) == (1, moment)


def test_means_of_numbers_out_of_all_proportion_can_be_compared() -> None:
    found = welch(Moments(100, 0.0, 1.0), Moments(100, 1e100, 1e100))
    assert 0 <= found.p_value <= 1
