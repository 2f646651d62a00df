"""A version's card says what it is for, what it was made of, how good it is and where that ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from modelyard.spec.models import Spec
from modelyard.tracking import registry
from modelyard.tracking.card import LONGEST_DESCRIPTION, Subject, as_description, model_card
from modelyard.tracking.client import connect
from modelyard.workspace import Workspace
from tests.tracking.samples import answers, make, spec


@pytest.fixture
def subject(workspace: Workspace) -> Subject:
    made = make(workspace, "one", 0.95, answers([3, 4]))
    table = pd.DataFrame({"width": [1.5, 2.5, 3.5], "label": ["a", "b", "c"], "split": [0, 1, 2]})
    table.to_parquet(workspace.path(made.split.table))
    report = workspace.path(made.evaluation.predictions).parent / "report"
    report.mkdir()
    (report / "label_classes.csv").write_text(
        "class,precision,recall,f1,rows,roc_auc\nrose,0.5,0.4,0.44,20,\nlily,0.9,0.8,0.85,20,0.99\n"
    )
    tags = {
        "modelyard.data_revision": "work tree",
        "modelyard.dvc_hash": "abc",
        "modelyard.git_dirty": "true",
        "modelyard.compared_with": "flowers 3",
        "modelyard.comparison": "label better (p = 0.01)",
    }
    measured = {"energy_kwh": 0.002, "co2_kg": 0.0008}
    return Subject(spec(), workspace, made.split, made.trained, made.evaluation, tags, measured)


def test_the_card_has_what_a_reader_asks(subject: Subject) -> None:
    card = model_card(subject)
    assert card.startswith("# flowers\n\nWhich flower it is.\n")
    for part in (
        "`data/flowers.csv` at work tree, DVC hash `abc`",
        "rows: 6 for training, 2 for validation, 2 for test",
        "2 epochs, the weights of epoch 2 were kept",
        "about 2 Wh, 0.8 g CO2 equivalents",
        "with uncommitted changes",
        "| label.accuracy | 0.95 |",
        "label.accuracy: 0.95, passed",
        "Against flowers 3, then champion: label better (p = 0.01).",
        "label rose: f1 0.44, precision 0.5, recall 0.4 on 20 rows",
        "the accuracy on all such data is 83.50% to 98.62% (95 %, Wilson)",
        "2 test rows are few",
        """-d '{"rows": [{"width": 3.5}]}'""",
    ):
        assert part in card, part


def test_images_are_sent_as_files(subject: Subject) -> None:
    model = {
        "input_features": [{"name": "image", "type": "image", "encoder": {"type": "resnet"}}],
        "output_features": [{"name": "label", "type": "category"}],
    }
    card = model_card(replace(subject, spec=spec(model=model)))
    assert "curl -F image=@image.png http://127.0.0.1:8000/models/flowers/predict" in card
    assert "inputs: image (image, resnet)" in card


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label.truth": [1.0, 2.0, 3.0], "label.prediction": [1.1, 2.1, 3.1]}, "0.1 to 0.1"),
        ({"label.dice": [0.5, 0.5]}, "mean Dice of all such data is 0.5 to 0.5"),
        ({"other": [1]}, "## Limits"),
    ],
)
def test_numbers_and_masks_have_intervals_too(
    subject: Subject, columns: dict[str, list[float]], words: str
) -> None:
    file = subject.workspace.path(subject.evaluation.predictions)
    pd.DataFrame(columns).to_parquet(file)
    assert words in model_card(subject)


def test_without_table_and_report_the_card_is_still_written(workspace: Workspace) -> None:
    made = make(workspace)
    bare = Subject(
        Spec.model_validate({**spec().model_dump(exclude_unset=True), "description": ""}),
        workspace,
        made.split,
        made.trained,
        made.evaluation,
        {},
        {},
    )
    card = model_card(bare)
    assert '{"width": "..."}' in card
    assert "gives no description" in card
    assert "Weakest" not in card


def test_a_long_card_is_cut_at_a_line_for_mlflow() -> None:
    long = "\n".join(f"line {number}" for number in range(2000))
    cut = as_description(long)
    assert len(cut) <= LONGEST_DESCRIPTION
    assert cut.endswith("model_card.md.")
    assert as_description("short") == "short"


def test_a_version_bears_its_card_in_mlflow(workspace: Workspace) -> None:
    made = make(workspace, predictions=answers())
    registry.register(spec(), workspace, made.split, made.trained, made.evaluation, run="r")
    version = connect(workspace.settings).get_model_version("flowers", "1")
    folder = Path(registry.download(workspace.settings, "flowers", 1))
    card = (folder / "model_card.md").read_text()
    assert version.description == card
    assert "## How to call it" in card
