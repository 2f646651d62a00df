"""Stage `transform`, and the reading and writing of tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelyard.artifacts import TransformedData
from modelyard.data.lineage import lineage
from modelyard.data.pull import pull
from modelyard.data.tables import canonical, read_table, spell, table_hash, write_table
from modelyard.data.transform import transform
from modelyard.errors import DataError
from modelyard.workspace import Workspace
from tests.data.conftest import make_spec, write_images

Transform = Callable[..., tuple[TransformedData, pd.DataFrame]]

Pages = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]

TABLE = "x,y,label\n1,10,a\n2,,b\n,30,a\n2,,b\n"


@pytest.fixture
def folder(project: Path) -> Path:
    made = project / "data" / "own"
    made.mkdir()
    (made / "table.csv").write_text(TABLE, encoding="utf-8")
    return made


@pytest.fixture
def run(folder: Path, workspace: Workspace) -> Transform:
    """Apply steps to a table, which may be given as CSV, with more of the data section."""

    def apply(
        *steps: dict[str, object],
        table: str | None = None,
        with_table: bool = True,
        **data: object,
    ) -> tuple[TransformedData, pd.DataFrame]:
        if table is not None:
            (folder / "table.csv").write_text(table, encoding="utf-8")
        name = "table.csv" if with_table else None
        spec = make_spec("data/own", name, transform=steps, **data)  # type: ignore[arg-type]
        made = transform(spec, pull(spec, workspace), workspace)
        return made, pd.read_parquet(workspace.path(made.table))

    return apply


def refusal(run: Transform, *steps: dict[str, object], **options: object) -> str:
    with pytest.raises(DataError) as caught:
        run(*steps, **options)
    return str(caught.value)


class TestSteps:
    def test_no_step_keeps_the_table(self, run: Transform) -> None:
        made, table = run()
        assert made.columns == ("x", "y", "label")
        assert made.rows == len(table) == 4
        assert table["x"].tolist()[:2] == [1, 2]

    def test_drop_missing(self, run: Transform) -> None:
        assert run({"kind": "drop_missing"})[1]["x"].tolist() == [1]
        assert len(run({"kind": "drop_missing", "columns": ["x"]})[1]) == 3

    def test_fill_missing_with_a_value(self, run: Transform) -> None:
        _, table = run({"kind": "fill_missing", "column": "y", "value": -1})
        assert table["y"].tolist() == [10, -1, 30, -1]

    @pytest.mark.parametrize(
        ("strategy", "filler"), [("mean", 5 / 3), ("median", 2), ("most_frequent", 2)]
    )
    def test_fill_missing_by_a_strategy(self, run: Transform, strategy: str, filler: float) -> None:
        _, table = run({"kind": "fill_missing", "column": "x", "strategy": strategy})
        assert table["x"].tolist() == pytest.approx([1, 2, filler, 2])

    def test_fill_missing_text(self, run: Transform) -> None:
        step = {"kind": "fill_missing", "column": "label", "strategy": "most_frequent"}
        _, table = run(step, table="x,label\n1,b\n2,\n3,b\n4,a\n")
        assert table["label"].tolist() == ["b", "b", "b", "a"]

    def test_clip(self, run: Transform) -> None:
        _, table = run({"kind": "clip", "column": "y", "min": 15, "max": 20})
        assert table["y"].dropna().tolist() == [15, 20]

    def test_rename_and_drop_columns(self, run: Transform) -> None:
        made, _ = run(
            {"kind": "rename", "columns": {"x": "width", "y": "x"}},
            {"kind": "drop_columns", "columns": ["label"]},
        )
        assert made.columns == ("width", "x")

    def test_drop_duplicates(self, run: Transform) -> None:
        assert len(run({"kind": "drop_duplicates"})[1]) == 3
        assert len(run({"kind": "drop_duplicates", "columns": ["label"]})[1]) == 2

    def test_steps_follow_each_other(self, run: Transform) -> None:
        _, table = run(
            {"kind": "drop_missing", "columns": ["x"]},
            {"kind": "fill_missing", "column": "y", "strategy": "mean"},
            {"kind": "drop_duplicates"},
        )
        assert table.to_dict("list") == {"x": [1, 2], "y": [10, 10], "label": ["a", "b"]}

    def test_the_same_steps_are_not_done_twice(self, run: Transform, workspace: Workspace) -> None:
        first, _ = run({"kind": "drop_duplicates"})
        before = workspace.path(first.table).stat().st_mtime_ns
        second, _ = run({"kind": "drop_duplicates"})
        assert first == second
        assert workspace.path(second.table).stat().st_mtime_ns == before

    def test_paths_of_images_stay_relative_to_the_pulled_folder(
        self, run: Transform, folder: Path, workspace: Workspace
    ) -> None:
        names = write_images(folder, 3)
        rows = "".join(f"{name},a\n" for name in names)
        made, table = run(table=f"image,label\n{rows}")
        assert table["image"].tolist() == names
        assert (workspace.path(made.folder) / names[2]).is_file()

    def test_text_keeps_its_leading_zeros(self, run: Transform) -> None:
        checks = [{"column": "code", "type": "text"}]
        _, table = run(table="code\n007\n010\n", checks=checks)
        assert table["code"].tolist() == ["007", "010"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("step", "field"),
        [
            ({"kind": "drop_missing", "columns": ["lable"]}, "data.transform[0].columns"),
            ({"kind": "fill_missing", "column": "lable", "value": 1}, "data.transform[0].column"),
            ({"kind": "clip", "column": "lable", "min": 1}, "data.transform[0].column"),
            ({"kind": "rename", "columns": {"lable": "z"}}, "data.transform[0].columns"),
            ({"kind": "drop_columns", "columns": ["lable"]}, "data.transform[0].columns"),
            ({"kind": "drop_duplicates", "columns": ["lable"]}, "data.transform[0].columns"),
        ],
        ids=lambda value: value["kind"] if isinstance(value, dict) else "",
    )
    def test_a_wrong_column_names_its_place_and_the_nearest(
        self, run: Transform, step: dict[str, object], field: str
    ) -> None:
        text = refusal(run, step)
        assert text == f"{field}: the table has no column lable (did you mean label?)"

    def test_the_second_step_is_number_1(self, run: Transform) -> None:
        text = refusal(
            run,
            {"kind": "drop_columns", "columns": ["x"]},
            {"kind": "clip", "column": "x", "min": 0},
        )
        assert text.startswith("data.transform[1].column: the table has no column x")

    @pytest.mark.parametrize(
        ("step", "text"),
        [
            ({"kind": "clip", "column": "label", "min": 1}, "label does not hold numbers"),
            (
                {"kind": "fill_missing", "column": "y", "value": "none"},
                "'none' does not fit column y, which holds numbers",
            ),
            ({"kind": "rename", "columns": {"x": "y"}}, "there would be two columns y"),
        ],
    )
    def test_steps_that_do_not_fit_the_column(
        self, run: Transform, step: dict[str, object], text: str
    ) -> None:
        assert text in refusal(run, step)

    def test_a_number_does_not_fill_text(self, run: Transform) -> None:
        step = {"kind": "fill_missing", "column": "label", "value": 1}
        text = refusal(run, step, table="x,label\n1,a\n2,\n")
        assert "1 does not fit column label, which holds text" in text

    def test_the_mean_of_text(self, run: Transform) -> None:
        step = {"kind": "fill_missing", "column": "label", "strategy": "mean"}
        assert "label does not hold numbers" in refusal(run, step, table="x,label\n1,a\n2,\n")

    def test_the_mean_of_nothing(self, run: Transform) -> None:
        step = {"kind": "fill_missing", "column": "y", "strategy": "mean"}
        text = refusal(run, step, table="x,y\n1,\n2,\n")
        assert "y has no values to compute the mean of" in text

    def test_a_step_that_leaves_no_row(self, run: Transform) -> None:
        text = refusal(run, {"kind": "drop_missing"}, table="x,y\n1,\n,2\n")
        assert text.startswith("data.transform[0]: no row is left")

    def test_an_empty_table(self, run: Transform) -> None:
        assert refusal(run, table="x,y\n") == "data.table: table.csv has no rows"


class TestTiff:
    @pytest.fixture
    def stack(self, folder: Path) -> Pages:
        """Five pages of 16 bits, with masks of numbered cells."""
        pages = (np.arange(5 * 8 * 8, dtype=np.uint16) * 100).reshape(5, 8, 8)
        masks = np.zeros((5, 8, 8), np.uint32)
        masks[2, 2:4, 2:4] = 7
        tifffile.imwrite(folder / "cells.tif", pages)
        tifffile.imwrite(folder / "masks.tif", masks)
        return pages

    STEP = {"kind": "extract_tiff", "images": "cells.tif", "masks": "masks.tif", "block": 2}  # noqa: RUF012

    def test_each_page_becomes_a_row(self, run: Transform, stack: Pages) -> None:
        made, table = run(self.STEP, with_table=False)
        assert made.columns == ("image", "mask", "page", "block")
        assert table["page"].tolist() == [0, 1, 2, 3, 4]
        assert table["block"].tolist() == [0, 0, 1, 1, 2]
        assert len(stack) == made.rows

    def test_pages_are_stretched_alike_and_masks_are_black_and_white(
        self, run: Transform, workspace: Workspace, stack: Pages
    ) -> None:
        made, table = run(self.STEP, with_table=False)
        folder = workspace.path(made.folder)
        images = np.stack([np.asarray(Image.open(folder / name)) for name in table["image"]])
        masks = np.stack([np.asarray(Image.open(folder / name)) for name in table["mask"]])
        expected = np.rint(stack / stack.max() * 255)
        assert (images == expected).all()
        assert images.dtype == masks.dtype == np.uint8
        assert set(np.unique(masks)) == {0, 255}
        assert masks[2, 2, 2] == 255

    @pytest.mark.usefixtures("stack")
    def test_without_masks_there_is_no_column_for_them(self, run: Transform) -> None:
        step = {"kind": "extract_tiff", "images": "cells.tif", "image_column": "cells"}
        assert run(step, with_table=False)[0].columns == ("cells", "page", "block")

    def test_a_single_page_and_colours(self, run: Transform, folder: Path) -> None:
        tifffile.imwrite(folder / "one.tif", np.zeros((8, 8), np.uint8))
        tifffile.imwrite(folder / "rgb.tif", np.zeros((5, 8, 8, 3), np.uint8), photometric="rgb")
        for name, rows in (("one.tif", 1), ("rgb.tif", 5)):
            made, _ = run({"kind": "extract_tiff", "images": name}, with_table=False)
            assert made.rows == rows

    @pytest.mark.usefixtures("stack")
    def test_a_table_beside_it_gives_each_page_its_row(self, run: Transform) -> None:
        made, table = run(self.STEP, table="day\n1\n1\n2\n2\n3\n")
        assert made.columns == ("day", "image", "mask", "page", "block")
        assert table["day"].tolist() == [1, 1, 2, 2, 3]

    @pytest.mark.usefixtures("stack")
    def test_a_table_of_another_length_is_refused(self, run: Transform) -> None:
        text = refusal(run, self.STEP, table="day\n1\n")
        assert "the table has 1 rows, but the TIFF has 5 pages" in text

    @pytest.mark.usefixtures("stack")
    def test_two_kinds_of_image_files_are_refused(self, run: Transform) -> None:
        rows = "".join(f"{number}.png\n" for number in range(5))
        text = refusal(run, self.STEP, table=f"photo\n{rows}", inputs=(("photo", "image"),))
        assert "cannot be joined with the image column photo" in text

    @pytest.mark.usefixtures("stack")
    def test_a_wrong_file_gets_the_nearest(self, run: Transform) -> None:
        step = {"kind": "extract_tiff", "images": "cell.tif"}
        text = refusal(run, step, with_table=False)
        assert text == (
            "data.transform[0].images: the data has no file cell.tif (did you mean cells.tif?)"
        )

    def test_a_truncated_stack_is_refused(self, run: Transform, folder: Path, stack: Pages) -> None:
        whole = (folder / "cells.tif").read_bytes()
        (folder / "cells.tif").write_bytes(whole[: len(whole) // 2])
        assert len(stack) == 5
        text = refusal(run, {"kind": "extract_tiff", "images": "cells.tif"}, with_table=False)
        assert "cells.tif is not a readable TIFF" in text

    @pytest.mark.usefixtures("stack")
    def test_another_step_needs_the_table_first(self, run: Transform) -> None:
        text = refusal(run, {"kind": "drop_duplicates"}, self.STEP, with_table=False)
        assert "data.transform[0]: there is no table yet; extract_tiff must come first" in text


class TestTables:
    @pytest.mark.parametrize(
        ("name", "content", "text"),
        [
            ("a.csv", b"", "a.csv is empty"),
            ("a.csv", b"x,y,x\n1,2,3\n", "a.csv has several columns called x"),
            ("a.csv", b"x;y\n1;2\n", "seems to be separated by semicolons"),
            ("a.csv", b"x,y\n1,2,3\n4,5\n", "a.csv is not a readable table"),
            ("a.csv", b"x,y\n1,\xff\xfe\n", "a.csv is not UTF-8 text"),
            ("a.parquet", b"no parquet", "a.parquet is not a readable Parquet file"),
            ("a.xlsx", b"", "a.xlsx is no table that can be read"),
        ],
    )
    def test_a_table_that_cannot_be_read(
        self, tmp_path: Path, name: str, content: bytes, text: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"^data.table: .*{text}"):
            read_table(tmp_path / name)

    @pytest.mark.parametrize(
        ("name", "content"),
        [("a.csv", "\ufeffx,y\n1,2\n"), ("a.tsv", "x\ty\n1\t2\n"), ("a.CSV", "x,y\r\n1,2\r\n")],
    )
    def test_spellings_of_tables(self, tmp_path: Path, name: str, content: str) -> None:
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        assert read_table(tmp_path / name).to_dict("list") == {"x": [1], "y": [2]}

    def test_a_column_of_mixed_types_is_refused_on_writing(self, tmp_path: Path) -> None:
        table = pd.DataFrame({"x": [1, "one", b"bytes"]})
        with pytest.raises(DataError, match="cannot be written as Parquet"):
            write_table(table, tmp_path / "a.parquet")

    @pytest.mark.parametrize(
        ("value", "spelt"),
        [
            (1, "1"),
            (1.0, "1"),
            (np.int64(1), "1"),
            (np.float64(0.1), "0.1"),
            (True, "true"),
            (np.True_, "true"),
            ("1", "1"),
            (1e300, "1e+300"),
        ],
    )
    def test_equal_values_are_spelt_the_same(self, value: object, spelt: str) -> None:
        assert spell(value) == spelt

    def test_missing_values_are_spelt_the_same_in_every_type(self) -> None:
        for values in ([None], [float("nan")], [pd.NaT], [pd.NA]):
            assert canonical(pd.Series(values)) == ["\x00"]

    @given(
        st.lists(
            st.tuples(st.integers(-100, 100), st.floats(allow_nan=False), st.text(max_size=5)),
            min_size=1,
            max_size=20,
        )
    )
    def test_the_hash_is_that_of_the_content_through_parquet(
        self, rows: list[tuple[int, float, str]]
    ) -> None:
        import io

        table = pd.DataFrame(rows, columns=["a", "b", "c"])
        stream = io.BytesIO()
        table.to_parquet(stream)
        again = pd.read_parquet(stream)
        assert table_hash(table) == table_hash(again)

    def test_other_content_names_or_types_have_another_hash(self) -> None:
        tables = [
            pd.DataFrame({"x": [1, 2]}),
            pd.DataFrame({"x": [2, 1]}),
            pd.DataFrame({"y": [1, 2]}),
            pd.DataFrame({"x": ["1", "2"]}),
            pd.DataFrame({"x": [1, None]}),
        ]
        assert len({table_hash(table) for table in tables}) == len(tables)


def test_lineage_follows_each_column_to_where_it_came_from() -> None:
    steps = make_spec(
        transform=[
            {"kind": "rename", "columns": {"a": "b", "b": "c"}},
            {"kind": "drop_columns", "columns": ["d"]},
            {"kind": "extract_tiff", "images": "x.tif", "masks": "y.tif"},
        ]
    ).data.transform
    assert lineage(["a", "b", "d"], steps) == {
        "b": "a",
        "c": "b",
        "image": None,
        "mask": None,
        "page": None,
        "block": None,
    }
