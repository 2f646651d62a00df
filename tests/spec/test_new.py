"""A first spec that is inferred passes the check, and says what it left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from modelyard.errors import DataError, SpecError, UsageError
from modelyard.spec import yaml_text
from modelyard.spec.infer import infer_spec
from modelyard.spec.load import load_spec
from modelyard.spec.new import write_new

type Raw = dict[str, Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model_specs").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frame(rows: int = 100) -> pd.DataFrame:
    numbers = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": range(rows),
            "width": numbers.normal(size=rows),
            "count": numbers.integers(0, 90, rows),
            "shiny": numbers.integers(0, 2, rows).astype(bool),
            "colour": numbers.choice(["red", "green", "no"], rows),
            "same": 1,
            "note": [f"a few words of text {i}" for i in range(rows)],
            "curve": [f"{i} 2.5 -3 4e2" for i in range(rows)],
            "day": [f"2026-01-{1 + i % 28:02}" for i in range(rows)],
            "petal.length": numbers.normal(size=rows),
            "species": numbers.choice(["setosa", "virginica"], rows),
        }
    )


def inferred(project: Path, table: pd.DataFrame, target: str) -> Raw:
    file = project / "data" / "flowers.csv"
    table.to_csv(file, index=False)
    value, _places, findings = yaml_text.read(infer_spec("flowers", file, target))
    assert findings == []
    assert isinstance(value, dict)
    return value


def test_types_are_inferred_column_by_column(project: Path) -> None:
    spec = inferred(project, frame(), "species")
    kinds = {feature["name"]: feature["type"] for feature in spec["model"]["input_features"]}
    assert kinds == {
        "width": "number",
        "count": "number",
        "shiny": "binary",
        "colour": "category",
        "note": "text",
        "curve": "timeseries",
        "day": "date",
        "petal_length": "number",
    }


def test_what_is_written_passes_the_check(project: Path) -> None:
    table = project / "data" / "flowers.csv"
    frame().to_csv(table, index=False)
    destination = project / "model_specs" / "flowers.yaml"
    made = write_new("flowers", table, "species", destination)
    spec = load_spec(destination)
    assert made.written == (destination,)
    assert spec.data.path == "data/flowers.csv"
    assert spec.data.split.stratify == "species"
    assert spec.gate[0].metric == "species.accuracy"
    assert any("dvc add" in note for note in made.notes)


def test_what_was_left_out_is_said_in_a_comment(project: Path) -> None:
    table = project / "data" / "flowers.csv"
    frame().to_csv(table, index=False)
    text = infer_spec("flowers", table, "species")
    assert "# The column 'id' is left out: it looks like an identifier.\n" in text
    assert "# The column 'same' is left out: it has one value only.\n" in text


def test_a_dot_in_a_column_is_renamed(project: Path) -> None:
    spec = inferred(project, frame(), "species")
    assert spec["data"]["transform"] == [
        {"kind": "rename", "columns": {"petal.length": "petal_length"}}
    ]


def test_a_number_is_predicted_by_its_r2(project: Path) -> None:
    spec = inferred(project, frame(), "width")
    assert spec["model"]["output_features"] == [{"name": "width", "type": "number"}]
    assert spec["gate"][0]["metric"] == "width.r2"
    assert "stratify" not in spec["data"]["split"]


def test_few_whole_numbers_are_classes(project: Path) -> None:
    table = frame().assign(digit=[i % 10 for i in range(100)])
    spec = inferred(project, table, "digit")
    assert spec["model"]["output_features"] == [{"name": "digit", "type": "category"}]
    check = next(check for check in spec["data"]["checks"] if check.get("column") == "digit")
    assert check["one_of"] == list(range(10))


def test_rows_without_a_target_are_dropped_and_not_refused(project: Path) -> None:
    table = frame()
    table.loc[3, "species"] = None
    spec = inferred(project, table, "species")
    assert spec["data"]["transform"][0] == {"kind": "drop_missing", "columns": ["species"]}
    check = next(check for check in spec["data"]["checks"] if check.get("column") == "species")
    assert "not_null" not in check


def test_a_column_named_split_is_taken_as_the_split(project: Path) -> None:
    table = frame().assign(split=["train", "validation", "test", "train"] * 25)
    spec = inferred(project, table, "species")
    assert spec["data"]["split"] == {"column": "split"}


def test_a_tracked_folder_is_the_path_and_the_table_lies_inside(project: Path) -> None:
    folder = project / "data" / "flowers"
    folder.mkdir()
    folder.with_name("flowers.dvc").write_text("outs: []\n")
    table = folder / "table.parquet"
    frame().to_parquet(table)
    value, _places, _findings = yaml_text.read(infer_spec("flowers", table, "species"))
    assert isinstance(value, dict)
    assert value["data"]["path"] == "data/flowers"
    assert value["data"]["table"] == "table.parquet"


@pytest.fixture
def pictures(project: Path) -> Path:
    folder = project / "data" / "signs"
    for name in ("stop", "go"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((20, 16, 3), number, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_a_folder_of_images_gets_a_table_of_labels(project: Path, pictures: Path) -> None:
    destination = project / "model_specs" / "signs.yaml"
    made = write_new("signs", pictures, None, destination)
    spec = load_spec(destination)
    assert made.written == (pictures / "labels.csv", destination)
    assert spec.data.path == "data/signs"
    assert spec.data.table == "labels.csv"
    labels = pd.read_csv(pictures / "labels.csv")
    assert labels.iloc[0].to_dict() == {"image": "go/0.png", "label": "go"}
    assert labels["label"].value_counts().to_dict() == {"go": 12, "stop": 12}


def test_convolutions_fit_the_images(project: Path, pictures: Path) -> None:
    destination = project / "model_specs" / "signs.yaml"
    write_new("signs", pictures, None, destination)
    image = load_spec(destination).model["input_features"]
    assert isinstance(image, list)
    assert isinstance(image[0], dict)
    assert image[0]["preprocessing"] == {"num_channels": 3, "height": 20, "width": 16}
    assert isinstance(image[0]["encoder"], dict)
    layers = image[0]["encoder"]["conv_layers"]
    assert isinstance(layers, list)
    assert len(layers) == 3


def test_nothing_is_left_behind_when_nothing_can_be_inferred(project: Path, pictures: Path) -> None:
    for file in (pictures / "stop").iterdir():
        file.unlink()
    with pytest.raises(UsageError, match="one value only"):
        write_new("signs", pictures, None, project / "model_specs" / "signs.yaml")
    assert not (pictures / "labels.csv").exists()


def test_an_existing_spec_is_not_overwritten(project: Path) -> None:
    destination = project / "model_specs" / "flowers.yaml"
    destination.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        write_new("flowers", project, "species", destination)
    assert destination.read_text() == "mine"


def test_the_file_must_have_the_spec_s_name(project: Path) -> None:
    with pytest.raises(UsageError, match=r"flowers\.yaml"):
        write_new("flowers", project, "species", project / "other.yaml")


def test_a_name_that_is_none_is_refused(project: Path) -> None:
    table = project / "data" / "flowers.csv"
    frame().to_csv(table, index=False)
    with pytest.raises(SpecError, match="lower-case"):
        infer_spec("My_Flowers", table, "species")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("specis", "did you mean `species`"),
        ("same", "one value only"),
        ("note", "looks like text"),
        ("id", "looks like an identifier"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(project: Path, target: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        inferred(project, frame(), target)


def test_a_table_needs_a_target(project: Path) -> None:
    with pytest.raises(UsageError, match="--target"):
        write_new("flowers", project / "t.csv", None, project / "model_specs" / "flowers.yaml")


def test_what_is_no_table_is_refused(project: Path) -> None:
    (project / "empty.csv").write_text("")
    with pytest.raises(DataError, match="not a CSV or Parquet table"):
        infer_spec("flowers", project / "empty.csv", "species")


def test_text_and_series_get_an_lstm_that_needs_no_internet(project: Path) -> None:
    spec = inferred(project, frame(), "species")
    features = {feature["name"]: feature for feature in spec["model"]["input_features"]}
    for name in ("note", "curve"):
        assert features[name]["encoder"]["type"] == "packed_rnn"
        assert features[name]["encoder"]["cell_type"] == "lstm"
    assert features["note"]["preprocessing"]["tokenizer"] == "space_punct"


def test_images_packed_into_a_table_are_images(project: Path) -> None:
    import io

    from PIL import Image

    def packed(number: int) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (24, 16), (number, 0, 0)).save(stream, format="PNG")
        return stream.getvalue()

    table = project / "data" / "packed.parquet"
    rows = pd.DataFrame(
        {
            "picture": [packed(number) for number in range(60)],
            "noise": [b"no picture"] * 30 + [b"nor here"] * 30,
            "label": ["one", "two"] * 30,
        }
    )
    rows.to_parquet(table)
    text = infer_spec("packed", table, "label", project)
    spec: Any = yaml_text.read(text)[0]
    [picture] = spec["model"]["input_features"]
    assert picture["type"] == "image"
    assert picture["preprocessing"] == {"num_channels": 3, "height": 16, "width": 24}
    assert "'noise' is left out: its bytes are no image" in text
    assert spec["data"]["path"] == "data/packed.parquet"
    assert "table" not in spec["data"]
