"""Rows are read with what the model uses, and paths are absolute only in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from modelyard.errors import TrainingError
from modelyard.training.rows import read_rows
from tests.training.samples import digits_spec, save_split, workspace_in, write_digits


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
