"""The reference is what the training rows looked like, the same each time."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from modelyard.errors import MonitoringError
from modelyard.monitoring.drift import compare
from modelyard.monitoring.images import measure_image
from modelyard.monitoring.observe import observe, observe_frame
from modelyard.monitoring.profile import summarise
from modelyard.monitoring.reference import (
    SAMPLE_ROWS,
    make_reference,
    read_profile,
    read_sample,
)
from modelyard.monitoring.texts import Vocabularies
from modelyard.spec.models import MonitorSpec, Spec

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
    spec = picture_spec()
    for grey in range(4):
        Image.new("L", (8, 8), grey * 85).save(tmp_path / f"{grey}.png")
    rows = pd.DataFrame({"file": [f"{grey}.png" for grey in range(4)], "label": list("abcd")})
    make_reference(spec)(rows, tmp_path, tmp_path / "reference")
    sample = read_sample(tmp_path / "reference")
    assert sample["file.brightness"].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert "label" not in sample


def test_packed_images_have_the_same_reference_as_files(tmp_path: Path) -> None:
    spec = picture_spec()
    for grey in range(6):
        Image.new("L", (8, 8), grey * 50).save(tmp_path / f"{grey}.png")
    names = [f"{grey}.png" for grey in range(6)]
    packed = pd.DataFrame({"file": [(tmp_path / name).read_bytes() for name in names]})
    make_reference(spec)(pd.DataFrame({"file": names}), tmp_path, tmp_path / "files")
    make_reference(spec)(packed, tmp_path, tmp_path / "packed")
    pd.testing.assert_frame_equal(read_sample(tmp_path / "packed"), read_sample(tmp_path / "files"))


def test_of_many_packed_images_a_sample_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def counted(value: object) -> dict[str, str | float | None]:
        opened.append(value)
        return measure_image(value)

    monkeypatch.setattr("modelyard.monitoring.observe.measure_image", counted)
    buffer = io.BytesIO()
    Image.new("L", (2, 2), 7).save(buffer, "PNG")
    rows = pd.DataFrame({"file": [buffer.getvalue()] * (SAMPLE_ROWS + 1_000)})
    make_reference(picture_spec())(rows, tmp_path, tmp_path / "reference")
    assert len(read_sample(tmp_path / "reference")) == SAMPLE_ROWS
    assert sum(value is not None for value in opened) == SAMPLE_ROWS


def picture_spec() -> Spec:
    """A spec whose input is an image in the column `file`."""
    model = {
        "input_features": [{"name": "picture", "type": "image", "column": "file"}],
        "output_features": [{"name": "label", "type": "category"}],
    }
    return Spec.model_validate({"name": "p", "data": {"path": "d"}, "model": model})


def test_a_missing_reference_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MonitoringError, match=r"sample\.parquet is missing \(train this model"):
        read_sample(tmp_path)
    assert read_profile(tmp_path) is None


def test_a_broken_reference_is_a_monitoring_error(tmp_path: Path) -> None:
    (tmp_path / "sample.parquet").write_text("not a table")
    with pytest.raises(MonitoringError, match="cannot be read"):
        read_sample(tmp_path)


def test_darker_images_of_a_packed_column_drift(
    tmp_path: Path, random: np.random.Generator
) -> None:
    def packed(rows: int, share: float) -> list[bytes]:
        pixels = (random.integers(0, 256, (rows, 6, 6)) * share).astype(np.uint8)
        return [as_png(one) for one in pixels]

    make_reference(picture_spec())(pd.DataFrame({"file": packed(200, 1.0)}), tmp_path, tmp_path)
    rows = [observe([("file", "image")], {"file": image}) for image in packed(200, 0.5)]
    verdicts = compare(read_sample(tmp_path), pd.DataFrame(rows), MonitorSpec())
    drifted = {verdict.column for verdict in verdicts if verdict.drifted}
    assert drifted == {"file.brightness", "file.contrast", "file.sharpness", "file.entropy"}


def text_spec() -> Spec:
    """A spec whose input is a text."""
    model = {
        "input_features": [{"name": "review", "type": "text"}],
        "output_features": [{"name": "label", "type": "category"}],
    }
    return Spec.model_validate({"name": "t", "data": {"path": "d"}, "model": model})


def texts(random: np.random.Generator, rows: int) -> pd.DataFrame:
    """Sentences of words that are the rarer, the later they come in the alphabet of numbers."""
    words = random.zipf(1.6, (rows, 12))
    return pd.DataFrame({"review": [" ".join(f"w{one}" for one in row) for row in words]})


def test_the_words_of_texts_are_kept_with_the_reference(
    tmp_path: Path, random: np.random.Generator
) -> None:
    make_reference(text_spec())(texts(random, 300), tmp_path, tmp_path)
    kept = Vocabularies.read(tmp_path).of("review")
    assert kept is not None
    assert {"w1", "w2", "w3"} <= kept.words
    assert "review.unknown_words" in read_sample(tmp_path)


def test_fresh_texts_of_the_same_kind_have_as_many_unknown_words_as_the_reference(
    tmp_path: Path, random: np.random.Generator
) -> None:
    make_reference(text_spec())(texts(random, 1_000), tmp_path, tmp_path)
    words = Vocabularies.read(tmp_path)
    fresh = observe_frame([("review", "text")], texts(random, 1_000), vocabularies=words)
    assert read_sample(tmp_path)["review.unknown_words"].mean() == pytest.approx(
        fresh["review.unknown_words"].mean(), abs=0.01
    )
    verdicts = compare(read_sample(tmp_path), fresh, MonitorSpec(min_effect=0))
    assert not [verdict.column for verdict in verdicts if verdict.drifted]


def test_texts_in_another_language_drift_in_their_words(
    tmp_path: Path, random: np.random.Generator
) -> None:
    make_reference(text_spec())(texts(random, 500), tmp_path, tmp_path)
    foreign = texts(random, 500)["review"].str.replace("w", "v")
    words = Vocabularies.read(tmp_path)
    live = observe_frame([("review", "text")], foreign.to_frame(), vocabularies=words)
    verdicts = compare(read_sample(tmp_path), live, MonitorSpec())
    assert [verdict.column for verdict in verdicts if verdict.drifted] == ["review.unknown_words"]


def as_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
