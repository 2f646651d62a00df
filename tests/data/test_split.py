"""Stage `split`: rows, refusals, leakage and the reference."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from modelyard.artifacts import SplitData, TransformedData
from modelyard.data.pull import pull
from modelyard.data.split import split
from modelyard.data.transform import transform
from modelyard.errors import ChecksFailed, DataError
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace
from tests.data.conftest import make_spec, write_images


def nothing(_rows: pd.DataFrame, _files: Path, _destination: Path) -> None:
    """Make no reference."""


@pytest.fixture
def folder(project: Path) -> Path:
    """An untracked folder for tables that tests write."""
    made = project / "data" / "own"
    made.mkdir()
    return made


def prepare(spec: Spec, workspace: Workspace) -> TransformedData:
    return transform(spec, pull(spec, workspace), workspace)


def split_own(
    workspace: Workspace, table: pd.DataFrame, name: str = "table.csv", **data: object
) -> tuple[SplitData, pd.DataFrame]:
    """Write a table, run the stages before, and split it."""
    path = workspace.settings.project / "data" / "own" / name
    table.to_csv(path, index=False) if name.endswith(".csv") else table.to_parquet(path)
    arguments = {"inputs": (("x", "number"),), **data}
    spec = make_spec("data/own", name, **arguments)  # type: ignore[arg-type]
    made = split(spec, prepare(spec, workspace), workspace, nothing)
    return made, pd.read_parquet(workspace.path(made.table))


def numbers(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(rows), "label": ["ab"[row % 2] for row in range(rows)]})


def refusal(workspace: Workspace, table: pd.DataFrame, **data: object) -> str:
    with pytest.raises(DataError) as caught:
        split_own(workspace, table, **data)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.usefixtures("folder")
class TestRows:
    def test_the_table_gets_a_column_and_keeps_its_order(self, workspace: Workspace) -> None:
        made, table = split_own(workspace, numbers(50))
        assert table["x"].tolist() == list(range(50))
        assert made.rows == (35, 5, 10)
        assert Counter(table["split"]) == {0: 35, 1: 5, 2: 10}

    def test_the_seed_alone_decides(self, workspace: Workspace) -> None:
        _, first = split_own(workspace, numbers(50))
        _, other = split_own(workspace, numbers(50), split={"seed": 43})
        assert first["split"].tolist() != other["split"].tolist()

    def test_these_rows_are_the_test_rows_on_every_machine(self, workspace: Workspace) -> None:
        _, table = split_own(workspace, numbers(20))
        assert table.loc[table["split"] == 2, "x"].tolist() == [0, 8, 9, 19]

    def test_equal_data_is_divided_equally_whatever_its_order_and_format(
        self, workspace: Workspace
    ) -> None:
        ordered = numbers(40)
        mixed = ordered.sample(frac=1, random_state=1)[["label", "x"]].astype({"x": float})
        _, first = split_own(workspace, ordered)
        _, second = split_own(workspace, mixed, "table.parquet")
        where = dict(zip(first["x"], first["split"], strict=True))
        assert dict(zip(second["x"].astype(int), second["split"], strict=True)) == where

    def test_stratify_keeps_the_shares_of_each_class(self, workspace: Workspace) -> None:
        table = numbers(100).assign(label=["rare" if row < 10 else "common" for row in range(100)])
        _, divided = split_own(workspace, table, split={"stratify": "label"})
        counts = Counter(zip(divided["label"], divided["split"], strict=True))
        assert [counts["rare", split] for split in range(3)] == [7, 1, 2]

    @pytest.mark.parametrize(
        "values", [("train", "validation", "test"), (0, 1, 2), ("0", "1", "2"), (0.0, 1.0, 2.0)]
    )
    def test_a_column_may_say_the_split(
        self, workspace: Workspace, values: tuple[object, ...]
    ) -> None:
        table = numbers(6).assign(part=[values[row % 3] for row in range(6)])
        made, divided = split_own(workspace, table, split={"column": "part"})
        assert divided["split"].tolist() == [0, 1, 2, 0, 1, 2]
        assert made.rows == (2, 2, 2)

    def test_the_columns_own_name_may_be_split(self, workspace: Workspace) -> None:
        table = numbers(3).assign(split=["test", "train", "validation"])
        _, divided = split_own(workspace, table, split={"column": "split"})
        assert divided["split"].tolist() == [2, 0, 1]

    def test_groups_stay_together(self, workspace: Workspace) -> None:
        table = numbers(60).assign(person=[row % 10 for row in range(60)])
        _, divided = split_own(workspace, table, split={"group": "person"})
        assert divided.groupby("person")["split"].nunique().max() == 1

    def test_blocks_stay_in_order(self, workspace: Workspace) -> None:
        table = numbers(60).assign(day=[row // 6 for row in range(60)])
        _, divided = split_own(workspace, table, split={"blocks_of": "day"})
        assert divided["split"].is_monotonic_increasing

    def test_a_second_call_returns_what_the_first_made(
        self, workspace: Workspace, folder: Path
    ) -> None:
        numbers(30).to_csv(folder / "table.csv", index=False)
        spec = make_spec("data/own", inputs=(("x", "number"),))
        calls: list[int] = []
        for _ in range(2):
            split(spec, prepare(spec, workspace), workspace, lambda *_: calls.append(1))
        assert calls == [1]


@pytest.mark.usefixtures("folder")
class TestRefusals:
    def test_a_wrong_word_in_the_split_column(self, workspace: Workspace) -> None:
        table = numbers(3).assign(part=["train", "dev", None])
        text = refusal(workspace, table, split={"column": "part"})
        assert "data.split.column: part holds dev, nothing in rows 2, 3" in text
        assert "(it must say train, validation or test (or 0, 1, 2))" in text

    @pytest.mark.parametrize("field", ["stratify", "column", "group", "blocks_of"])
    def test_a_wrong_column_gets_the_nearest(self, workspace: Workspace, field: str) -> None:
        text = refusal(workspace, numbers(9), split={field: "lable"})
        assert text == f"data.split.{field}: the table has no column lable (did you mean label?)"

    def test_a_class_that_cannot_be_in_every_split(self, workspace: Workspace) -> None:
        table = numbers(20).assign(label=["a"] * 10 + ["b"] * 8 + ["c"] * 2)
        text = refusal(workspace, table, split={"stratify": "label"})
        assert "fewer rows than there are splits: c (2 rows)" in text

    def test_two_splits_need_two_rows_of_a_class_only(self, workspace: Workspace) -> None:
        table = numbers(20).assign(label=["a"] * 10 + ["b"] * 8 + ["c"] * 2)
        how = {"stratify": "label", "fractions": [0.5, 0, 0.5]}
        made, _ = split_own(workspace, table, split=how)
        assert made.rows == (10, 0, 10)

    def test_a_number_is_no_class(self, workspace: Workspace) -> None:
        text = refusal(workspace, numbers(30), split={"stratify": "x"})
        assert "most values of x occur in fewer than 3 rows" in text

    @pytest.mark.parametrize("field", ["group", "blocks_of"])
    def test_a_row_without_a_group(self, workspace: Workspace, field: str) -> None:
        table = numbers(9).assign(person=["p", None, *"qqrrsst"])
        text = refusal(workspace, table, split={field: "person"})
        assert f"data.split.{field}: person is missing in rows 2" in text

    def test_too_few_rows_for_three_splits(self, workspace: Workspace) -> None:
        text = refusal(workspace, numbers(2))
        assert "data.split: no rows are left for validation; there are 2 rows" in text

    def test_too_few_groups_for_three_splits(self, workspace: Workspace) -> None:
        table = numbers(20).assign(person=[row % 2 for row in range(20)])
        assert "no rows are left for" in refusal(workspace, table, split={"group": "person"})

    def test_a_column_without_training_rows(self, workspace: Workspace) -> None:
        table = numbers(2).assign(part=["test", "test"])
        assert "no rows are left for train" in refusal(workspace, table, split={"column": "part"})


@pytest.mark.usefixtures("folder")
class TestLeakage:
    def leaky(self) -> pd.DataFrame:
        table = numbers(30).assign(part=["train"] * 20 + ["validation"] * 5 + ["test"] * 5)
        table.loc[29, "x"] = 3
        return table

    def test_the_same_inputs_in_two_splits_are_refused(self, workspace: Workspace) -> None:
        with pytest.raises(ChecksFailed) as caught:
            split_own(workspace, self.leaky(), split={"column": "part"})
        assert "row 4 (train) = row 30 (test)" in str(caught.value)
        assert "drop_duplicates" in str(caught.value)

    def test_the_spec_may_allow_it(self, workspace: Workspace) -> None:
        checks = [{"leakage": "allow"}]
        made, _ = split_own(workspace, self.leaky(), split={"column": "part"}, checks=checks)
        assert sum(made.rows) == 30

    def test_drop_duplicates_is_the_way_out(self, workspace: Workspace) -> None:
        steps = [{"kind": "drop_duplicates", "columns": ["x"]}]
        made, _ = split_own(workspace, self.leaky(), split={"column": "part"}, transform=steps)
        assert sum(made.rows) == 29

    def test_a_transform_can_make_samples_equal(self, workspace: Workspace) -> None:
        steps = [{"kind": "clip", "column": "x", "max": 5}]
        with pytest.raises(ChecksFailed, match="rows are counted after the transforms"):
            split_own(workspace, numbers(40), transform=steps)

    def test_equal_rows_in_one_split_are_no_leakage(self, workspace: Workspace) -> None:
        table = self.leaky()
        table.loc[29, "x"] = 29
        table.loc[1, "x"] = 0
        made, _ = split_own(workspace, table, split={"column": "part"})
        assert sum(made.rows) == 30

    def test_the_same_picture_under_two_names_is_found_by_its_bytes(
        self, workspace: Workspace, folder: Path
    ) -> None:
        names = write_images(folder, 12)
        shutil.copyfile(folder / names[0], folder / names[11])
        table = pd.DataFrame({"image": names, "label": ["a", "b"] * 6})
        table["part"] = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
        options = {"inputs": (("image", "image"),), "split": {"column": "part"}}
        with pytest.raises(ChecksFailed, match=r"row 1 \(train\) = row 12 \(test\)"):
            split_own(workspace, table, **options)  # type: ignore[arg-type]

    def test_different_pictures_do_not_leak(self, workspace: Workspace, folder: Path) -> None:
        names = write_images(folder, 12)
        table = pd.DataFrame({"image": names, "label": ["a", "b"] * 6})
        made, divided = split_own(workspace, table, inputs=(("image", "image"),))
        first = workspace.path(made.folder) / divided["image"].iloc[0]
        with Image.open(first) as image:
            assert image.size == (8, 8)


def test_the_reference_is_made_of_the_training_rows(workspace: Workspace) -> None:
    seen: list[tuple[pd.DataFrame, Path]] = []

    def make(rows: pd.DataFrame, files: Path, destination: Path) -> None:
        seen.append((rows, files))
        (destination / "profile.bin").write_bytes(b"profile")

    spec = make_spec()
    made = split(spec, prepare(spec, workspace), workspace, make)
    rows, files = seen[0]
    assert len(rows) == made.rows[0] == 28
    assert set(rows["split"]) == {0}
    assert (files / "table.csv").is_file()
    assert made.reference.endswith("/reference")
    assert (workspace.path(made.reference) / "profile.bin").read_bytes() == b"profile"


def test_a_reference_that_fails_leaves_no_split_behind(workspace: Workspace) -> None:
    def fail(_rows: pd.DataFrame, _files: Path, _destination: Path) -> None:
        message = "profiling failed"
        raise DataError(message)

    spec = make_spec()
    prepared = prepare(spec, workspace)
    with pytest.raises(DataError, match="profiling failed"):
        split(spec, prepared, workspace, fail)
    assert split(spec, prepared, workspace, nothing).rows == (28, 4, 8)
