"""Rows below a table, in the table's own format."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.data.added import BASE, MARKER
from modelyard.data.append import append_rows
from modelyard.data.labelled_columns import Cell
from modelyard.data.tables import read_table
from modelyard.errors import DataError

ID = "p1"


def appended(tmp_path: Path, name: str, content: bytes, row: dict[str, Cell]) -> bytes:
    source, destination = tmp_path / name, tmp_path / "new" / name
    destination.parent.mkdir()
    source.write_bytes(content)
    append_rows(source, [{**row, MARKER: ID}], destination)
    return destination.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "row", "lines"),
    [
        pytest.param("t.csv", b"a,b\n1,x\n", {"a": 2.0, "b": "y"}, ["1,x,-", "2,y,p1"], id="csv"),
        pytest.param("t.tsv", b"a\tb\n1\tx\n", {"a": 2.5}, ["1\tx\t-", "2.5\t\tp1"], id="tsv"),
        pytest.param("t.csv", b"\xef\xbb\xbfa,b\r\n1,x\r\n", {"a": 2}, ["1,x,-", "2,,p1"], id="bom"),
        pytest.param("t.csv", b"a,b\n1\n\n", {"a": 2}, ["1,,-", "2,,p1"], id="ragged"),
        pytest.param(
            "t.csv", b'a,b\n007,"x, y"\n', {"b": 'say "z"'}, ['007,"x, y",-', ',"say ""z""",p1'], id="quoted"
        ),
        pytest.param("t.csv", b"a,b\n1 2,x\n", {"a": [1, 2.5]}, ["1 2,x,-", "1 2.5,,p1"], id="series"),
        pytest.param("t.csv", b"a,b\nTrue,x\n", {"a": False}, ["True,x,-", "false,,p1"], id="boolean"),
    ],
)  # fmt: skip
def test_text_keeps_what_was_there(
    tmp_path: Path, name: str, content: bytes, row: dict[str, Cell], lines: list[str]
) -> None:
    assert appended(tmp_path, name, content, row).decode().splitlines()[1:] == lines


def test_a_second_time_the_marker_is_there(tmp_path: Path) -> None:
    once = appended(tmp_path, "t.csv", b"a\n1\n", {"a": 2})
    again = appended(tmp_path / "new", "t.csv", once, {"a": 3})
    assert again.decode().splitlines() == [f"a,{MARKER}", f"1,{BASE}", f"2,{ID}", f"3,{ID}"]


def write_parquet(tmp_path: Path, cells: list[object], kind: pa.DataType) -> Path:
    source = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array(cells, type=kind)}), source)
    return source


@pytest.mark.parametrize(
    ("cells", "kind", "cell", "expected"),
    [
        pytest.param([1], pa.int64(), "7", 7, id="integer"),
        pytest.param([1], pa.int64(), 7.0, 7, id="whole"),
        pytest.param([1.5], pa.float32(), 7, 7.0, id="float"),
        pytest.param(["x"], pa.string(), 7.0, "7", id="text"),
        pytest.param([True], pa.bool_(), "false", False, id="boolean"),
        pytest.param([[1.0]], pa.list_(pa.float64()), [1, 2], [1.0, 2.0], id="series"),
        pytest.param([b"x"], pa.binary(), b"png", b"png", id="bytes"),
        pytest.param([1], pa.int64(), None, None, id="missing"),
    ],
)
def test_parquet_keeps_its_types(
    tmp_path: Path, cells: list[object], kind: pa.DataType, cell: Cell, expected: object
) -> None:
    destination = tmp_path / "new.parquet"
    append_rows(write_parquet(tmp_path, cells, kind), [{"a": cell, MARKER: ID}], destination)
    table = pq.read_table(destination)
    assert table.schema.field("a").type == kind
    assert table.to_pydict() == {"a": [cells[0], expected], MARKER: [BASE, ID]}


def test_images_are_packed_as_the_others_are(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    source = write_parquet(tmp_path, [{"bytes": b"one", "path": "1.png"}], kind)
    destination = tmp_path / "new.parquet"
    append_rows(source, [{"a": b"two", MARKER: ID}], destination)
    assert read_table(destination)["a"].tolist() == [b"one", b"two"]


@pytest.mark.parametrize("cell", [7.5, "many", [1, 2]], ids=["fraction", "word", "series"])
def test_what_does_not_fit_is_refused_by_column(tmp_path: Path, cell: Cell) -> None:
    source = write_parquet(tmp_path, [1], pa.int64())
    with pytest.raises(DataError, match="column a is int64"):
        append_rows(source, [{"a": cell, MARKER: ID}], tmp_path / "new.parquet")
