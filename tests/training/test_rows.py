"""Rows are read with what the model uses, and paths are absolute only in memory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from modelyard.errors import TrainingError
from modelyard.training.rows import decode_packed_at_once, read_rows
from tests.training.samples import (
    digits_spec,
    save_split,
    split_column,
    workspace_in,
    write_digits,
)


def test_image_paths_lead_to_files(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, write_digits(workspace, 10).assign(unused=1))
    rows = read_rows(digits_spec(), split, workspace)
    assert list(rows) == ["image", "label", "split"]
    assert all(Path(path).is_file() for path in rows["image"])
    stored = pd.read_parquet(workspace.path(split.table))
    assert stored["image"][0] == "images/0.png"


def test_a_missing_image_is_named_with_its_row(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, write_digits(workspace, 10))
    (workspace.path(split.folder) / "images" / "3.png").unlink()
    with pytest.raises(TrainingError, match=r"column image: 1 images are missing.* row 4: "):
        read_rows(digits_spec(), split, workspace)


def test_a_table_that_is_gone_is_an_error_of_ours(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, write_digits(workspace, 10))
    workspace.path(split.table).unlink()
    with pytest.raises(TrainingError, match="is gone"):
        read_rows(digits_spec(), split, workspace)


def packed(count: int = 12, first: int = 0) -> pd.DataFrame:
    """Digits as PNG bytes in the table itself."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images[first : first + count] * 15.9).astype("uint8")
    return pd.DataFrame(
        {
            "image": [as_png(pixels) for pixels in images],
            "label": bunch.target[first : first + count],
            "split": split_column(count),
        }
    )


def as_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def untrained(column: str) -> SimpleNamespace:
    """What is looked at of a Ludwig model: an image and a label."""

    def feature(kind: str, column: str) -> SimpleNamespace:
        preprocessing = SimpleNamespace(mode="lazy")
        return SimpleNamespace(type=kind, column=column, preprocessing=preprocessing)

    config = SimpleNamespace(
        input_features=[feature("image", column)], output_features=[feature("category", "label")]
    )
    return SimpleNamespace(config_obj=config)


def modes(model: SimpleNamespace) -> list[str]:
    config = model.config_obj
    return [one.preprocessing.mode for one in (*config.input_features, *config.output_features)]


class TestPackedImages:
    def test_the_bytes_are_passed_on(self, tmp_path: Path) -> None:
        workspace = workspace_in(tmp_path)
        table = packed()
        rows = read_rows(digits_spec(), save_split(workspace, table), workspace)
        assert rows["image"].tolist() == table["image"].tolist()

    @pytest.mark.parametrize("nothing", [None, b""])
    def test_a_missing_image_is_named_by_its_row(
        self, tmp_path: Path, nothing: bytes | None
    ) -> None:
        workspace = workspace_in(tmp_path)
        images: list[bytes | None] = packed()["image"].tolist()
        images[3] = nothing
        split = save_split(workspace, packed().assign(image=pd.Series(images, dtype="object")))
        with pytest.raises(TrainingError, match=r"1 images are missing, the first in row 4 \("):
            read_rows(digits_spec(), split, workspace)

    def test_ludwig_decodes_them_at_once(self) -> None:
        model = untrained(column="picture")
        decode_packed_at_once(model, packed().rename(columns={"image": "picture"}))
        assert modes(model) == ["eager", "lazy"]

    def test_files_are_decoded_as_the_spec_says(self, tmp_path: Path) -> None:
        model = untrained(column="image")
        decode_packed_at_once(model, write_digits(workspace_in(tmp_path), 10))
        assert modes(model) == ["lazy", "lazy"]


@pytest.mark.heavy
def test_a_training_on_packed_images_leaves_none_behind_and_answers_files_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ludwig's lazy mode would keep them in the person's home, for the next training to find."""
    from modelyard.training.build import build
    from modelyard.training.log import Untracked
    from modelyard.training.predictor import Predictor
    from modelyard.training.train import train

    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    workspace, spec = workspace_in(tmp_path), digits_spec(epochs=1)
    split = save_split(workspace, packed(60))
    trained = train(spec, split, build(spec, split, workspace), workspace, Untracked())
    assert trained.epochs == 1
    assert not list((tmp_path / "person").rglob("*.png"))
    kept = json.loads(
        (workspace.path(trained.model) / "training_set_metadata.json").read_text("utf-8")
    )
    assert kept["image"]["preprocessing"]["mode"] == "eager"
    images = packed(5)[["image"]]
    names = [str(tmp_path / f"{number}.png") for number in range(5)]
    for name, image in zip(names, images["image"], strict=True):
        Path(name).write_bytes(image)
    model = Predictor(workspace.path(trained.model))
    answers = model.predict(images)
    assert set(answers["label"]) <= set(map(str, range(10)))
    as_files = model.predict(pd.DataFrame({"image": names}))
    assert as_files["label_probability"].tolist() == answers["label_probability"].tolist()
