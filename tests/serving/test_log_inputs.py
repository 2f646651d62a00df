"""Inputs are kept whole as they came, and each image once."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.prediction_log.inputs import extension, whole_inputs

FEATURES = [("age", "number"), ("note", "text"), ("curve", "timeseries"), ("photo", "image")]


def image(kind: str = "PNG", shade: int = 7) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 2), shade).save(buffer, kind)
    return buffer.getvalue()


def kept(home: Path, **row: object) -> dict[str, object]:
    return dict(whole_inputs(home, "wards", FEATURES, row))


def test_values_are_kept_as_they_came(tmp_path: Path) -> None:
    row = {"age": 41.0, "note": "all well", "curve": "0.1 0.2", "photo": None, "other": 1}
    assert kept(tmp_path, **row) == {
        "age": 41.0,
        "note": "all well",
        "curve": "0.1 0.2",
        "photo": None,
    }
    assert kept(tmp_path, curve=np.array([1.0, 2.0]))["curve"] == [1.0, 2.0]
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_a_file_that_is_called_by_its_content(tmp_path: Path) -> None:
    content = image()
    path = kept(tmp_path, photo=content)["photo"]
    assert path == f"inputs/wards/{hashlib.sha256(content).hexdigest()}.png"
    assert (tmp_path / str(path)).read_bytes() == content


def test_the_same_image_is_kept_once(tmp_path: Path) -> None:
    paths = {kept(tmp_path, photo=image(shade=shade))["photo"] for shade in (1, 1, 2, 1)}
    assert len(paths) == 2
    assert len(list((tmp_path / "inputs" / "wards").iterdir())) == 2


def test_only_the_owner_of_the_service_reads_them(tmp_path: Path) -> None:
    kept(tmp_path, photo=image())
    assert (tmp_path / "inputs" / "wards").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("TIFF", "tif"),
        ("BMP", "bmp"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
    ],
)
def test_a_file_is_called_by_its_format(kind: str, expected: str) -> None:
    assert extension(image(kind)) == expected


def test_what_no_format_begins_like_is_kept_too() -> None:
    assert extension(b"what is this") == "bin"


def test_an_image_that_cannot_be_written_is_none_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "inputs").write_text("in the way")
    assert kept(tmp_path, age=1.0, photo=image()) == {
        "age": 1.0,
        "note": None,
        "curve": None,
        "photo": None,
    }
    assert "an input of wards cannot be kept" in caplog.text
