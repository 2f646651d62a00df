"""The reference is what the training rows looked like, the same each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from modelyard.errors import MonitoringError
from modelyard.monitoring.profile import summarise
from modelyard.monitoring.reference import (
    SAMPLE_ROWS,
    make_reference,
    read_profile,
    read_sample,
)
from modelyard.spec.models import Spec

type Draw = Callable[..., pd.DataFrame]


def test_a_sample_and_a_profile_are_written(reference: Path) -> None:
    assert list(read_sample(reference).columns) == ["size", "level", "site"]
    assert len(read_sample(reference)) == 2_000
    profile = read_profile(reference)
    assert profile is not None
    assert summarise(profile)["size"].count == 2_000


def test_of_many_rows_a_seeded_sample_is_kept(tmp_path: Path, spec: Spec, table: Draw) -> None:
    rows = table(6_000)
    for name in ("a", "b"):
        make_reference(spec)(rows, tmp_path, tmp_path / name)
    assert len(read_sample(tmp_path / "a")) == SAMPLE_ROWS
    first, second = ((tmp_path / name / "sample.parquet").read_bytes() for name in "ab")
    assert first == second


def test_the_profile_is_of_all_rows(tmp_path: Path, spec: Spec, table: Draw) -> None:
    make_reference(spec)(table(6_000), tmp_path, tmp_path / "a")
    profile = read_profile(tmp_path / "a")
    assert profile is not None
    assert summarise(profile)["site"].count == 6_000


def test_images_are_measured(tmp_path: Path) -> None:
    model = {
        "input_features": [{"name": "picture", "type": "image", "column": "file"}],
        "output_features": [{"name": "label", "type": "category"}],
    }
    spec = Spec.model_validate({"name": "p", "data": {"path": "d"}, "model": model})
    for grey in range(4):
        Image.new("L", (8, 8), grey * 85).save(tmp_path / f"{grey}.png")
    rows = pd.DataFrame({"file": [f"{grey}.png" for grey in range(4)], "label": list("abcd")})
    make_reference(spec)(rows, tmp_path, tmp_path / "reference")
    sample = read_sample(tmp_path / "reference")
    assert sample["file.brightness"].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert "label" not in sample


def test_a_missing_reference_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MonitoringError, match=r"sample\.parquet is missing \(train this model"):
        read_sample(tmp_path)
    assert read_profile(tmp_path) is None


def test_a_broken_reference_is_a_monitoring_error(tmp_path: Path) -> None:
    (tmp_path / "sample.parquet").write_text("not a table")
    with pytest.raises(MonitoringError, match="cannot be read"):
        read_sample(tmp_path)
