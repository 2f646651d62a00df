"""Images packed into the table itself pass every stage, and are told apart by their bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelyard.artifacts import CheckFailure, ValidationReport
from modelyard.data.images import image_hash, image_problem
from modelyard.data.pull import pull
from modelyard.data.split import split
from modelyard.data.tables import canonical, read_table, table_hash, write_table
from modelyard.data.transform import transform
from modelyard.data.validate import validate
from modelyard.errors import ChecksFailed
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace
from tests.data.conftest import make_spec

Pack = Callable[..., Spec]
IMAGE = {"column": "image", "type": "image", "not_null": True, "unique": True}
DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda whole: whole[:-20],
    "without its end": lambda whole: whole[:-12],
    "text": lambda _whole: b"not an image",
    "empty": lambda _whole: b"",
}


def png(grey: int, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (size, size), grey).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(changed: Mapping[int, bytes | None] | None = None) -> pd.DataFrame:
    """30 different pictures, each in one split; some may be changed by their position."""
    images = {number: png(number) for number in range(30)} | dict(changed or {})
    return pd.DataFrame(
        {
            "image": list(images.values()),
            "label": ["ab"[number % 2] for number in images],
            "split": [("train", "validation", "test")[number % 3] for number in images],
        }
    )


LEAKY = pictures({1: png(0)})


@pytest.fixture
def pack(project: Path) -> Pack:
    """Write a table as one Parquet file and make a spec about it."""

    def run(table: pd.DataFrame, **data: object) -> Spec:
        folder = project / "data" / "packed"
        folder.mkdir(exist_ok=True)
        table.to_parquet(folder / "pictures.parquet", index=False)
        options = {"split": {"column": "split"}, **data}
        return make_spec(
            "data/packed",
            "pictures.parquet",
            inputs=(("image", "image"),),
            **options,  # type: ignore[arg-type]
        )

    return run


def checked(spec: Spec, workspace: Workspace) -> ValidationReport:
    return validate(spec, pull(spec, workspace), workspace)


def only(report: ValidationReport) -> CheckFailure:
    assert len(report.failures) == 1, report.failures
    return report.failures[0]


def nothing(_rows: pd.DataFrame, _files: Path, _destination: Path) -> None:
    """Make no reference."""


class TestChecks:
    def test_whole_images_pass(self, pack: Pack, workspace: Workspace) -> None:
        report = checked(pack(pictures(), checks=[IMAGE]), workspace)
        assert report.passed
        assert report.rows == 30

    @pytest.mark.parametrize("damage", DAMAGED)
    def test_a_damaged_image_is_told_by_its_row(
        self, damage: str, pack: Pack, workspace: Workspace
    ) -> None:
        table = pictures({4: DAMAGED[damage](png(4))})
        failure = only(checked(pack(table, checks=[IMAGE]), workspace))
        assert failure.rows == (5,)
        assert failure.message.startswith("image: 1 image cannot be used: row 5 is ")
        assert len(failure.message) < 150, "the bytes themselves are not told"

    def test_images_are_opened_without_a_check_in_the_spec(
        self, pack: Pack, workspace: Workspace
    ) -> None:
        assert only(checked(pack(pictures({0: b"no image"})), workspace)).rows == (1,)

    def test_a_missing_image_is_a_missing_value(self, pack: Pack, workspace: Workspace) -> None:
        failure = only(checked(pack(pictures({2: None}), checks=[IMAGE]), workspace))
        assert failure.message == "image: 1 value breaks `is not missing`: nothing in row 3"

    def test_a_repeated_image_is_told_by_its_size(self, pack: Pack, workspace: Workspace) -> None:
        table = pictures({3: png(0)})  # both are training rows
        size = len(png(0))
        failure = only(checked(pack(table, checks=[IMAGE]), workspace))
        assert failure.message == f"image: 1 value breaks `occurs once`: {size} bytes in row 4"


class TestLeakage:
    def test_the_same_image_in_two_splits_is_found(self, pack: Pack, workspace: Workspace) -> None:
        failure = only(checked(pack(LEAKY), workspace))
        assert "row 1 (train) = row 2 (validation)" in failure.message

    def test_the_split_refuses_it(self, pack: Pack, workspace: Workspace) -> None:
        spec = pack(LEAKY)
        transformed = transform(spec, pull(spec, workspace), workspace)
        with pytest.raises(ChecksFailed, match="the same sample"):
            split(spec, transformed, workspace, nothing)

    def test_drop_duplicates_is_the_way_out(self, pack: Pack, workspace: Workspace) -> None:
        spec = pack(LEAKY, transform=[{"kind": "drop_duplicates", "columns": ["image"]}])
        transformed = transform(spec, pull(spec, workspace), workspace)
        assert transformed.rows == 29
        assert split(spec, transformed, workspace, nothing).rows == (10, 9, 10)


class TestTables:
    def test_the_bytes_pass_transform_and_split_unchanged(
        self, pack: Pack, workspace: Workspace
    ) -> None:
        spec = pack(pictures(), split={"stratify": "label", "fractions": [0.6, 0.2, 0.2]})
        transformed = transform(spec, pull(spec, workspace), workspace)
        divided = split(spec, transformed, workspace, nothing)
        assert divided.rows == (18, 6, 6)
        written = read_table(workspace.path(divided.table))
        assert written["image"].tolist() == pictures()["image"].tolist()

    def test_the_hash_is_that_of_the_content_whatever_the_compression(self, tmp_path: Path) -> None:
        table = pictures()
        write_table(table, tmp_path / "one.parquet")
        table.to_parquet(tmp_path / "two.parquet", compression="zstd", index=False)
        one, two = (read_table(tmp_path / f"{name}.parquet") for name in ("one", "two"))
        assert table_hash(one) == table_hash(two) == table_hash(table)
        assert table_hash(table.iloc[::-1]) != table_hash(table)

    def test_images_as_hugging_face_packs_them_are_their_bytes(self, tmp_path: Path) -> None:
        import pyarrow as pa

        cells = [{"bytes": png(1), "path": "1.png"}, None, {"bytes": png(2), "path": None}]
        file = tmp_path / "packed.parquet"
        pq.write_table(pa.table({"image": cells, "label": ["a", "b", "c"]}), file)
        assert read_table(file)["image"].tolist() == [png(1), None, png(2)]

    @given(st.lists(st.binary(max_size=8) | st.none(), max_size=12))
    def test_bytes_are_spelt_the_same_exactly_if_they_are_equal(
        self, values: list[bytes | None]
    ) -> None:
        spelt = canonical(pd.Series(values, dtype="object"))
        assert len(set(zip(values, spelt, strict=True))) == len(set(spelt)) == len(set(values))


class TestOneImage:
    def test_a_file_and_its_bytes_are_judged_and_hashed_alike(self, tmp_path: Path) -> None:
        for name, content in (("good.png", png(9)), ("cut.png", png(9)[:-20]), ("none.png", b"")):
            (tmp_path / name).write_bytes(content)
            assert image_problem(name, tmp_path) == image_problem(content, tmp_path)
            assert image_hash(name, tmp_path) == image_hash(content, tmp_path)

    def test_a_file_that_is_not_there_stands_for_itself(self, tmp_path: Path) -> None:
        assert image_hash("a.png", tmp_path) != image_hash("b.png", tmp_path)

    def test_a_picture_of_very_many_pixels_is_not_opened(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        assert image_problem(png(1), tmp_path) == "is far too large"
