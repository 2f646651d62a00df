"""Two runs side by side: what differs, and whether it is more than chance."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.errors import TrackingError
from modelyard.tracking import registry
from modelyard.tracking.client import connect
from modelyard.tracking.compare import Comparison, compare_runs, differing, paired_tests
from modelyard.tracking.compare_text import cell, markdown, short_verdict, verdicts
from modelyard.workspace import Workspace
from tests.tracking.samples import Made, answers, make, spec


def compare(workspace: Workspace, first: Made, second: Made) -> Comparison:
    pair = [(name, made.trained.mlflow_run) for name, made in (("old", first), ("new", second))]
    return compare_runs(workspace.settings, *pair)


@pytest.fixture
def better(workspace: Workspace) -> tuple[Made, Made]:
    """Eight rows that only the second gets right."""
    first = make(workspace, "one", 0.8, answers(range(8)))
    return first, make(workspace, "two", 1.0, answers())


def test_a_clear_win_is_more_than_chance(workspace: Workspace, better: tuple[Made, Made]) -> None:
    found = compare(workspace, *better)
    assert found.metrics == {"label.accuracy": (0.8, 1.0)}
    assert found.tests["label"].p_value == pytest.approx(2 / 2**8)
    (text,) = verdicts(found)
    assert text.startswith(
        "label: new is better, more than chance explains: accuracy 1 against 0.8"
    )
    assert "p = 0.0078" in text


def test_a_narrow_win_may_be_chance(workspace: Workspace) -> None:
    first = make(workspace, "one", 0.95, answers([1, 2]))
    second = make(workspace, "two", 0.975, answers([3]))
    assert "better, which chance may explain" in verdicts(compare(workspace, first, second))[0]
    assert short_verdict(compare(workspace, second, first)) == (
        "label worse, maybe by chance (p = 1)"
    )


def test_a_model_is_equal_to_itself(workspace: Workspace) -> None:
    made = make(workspace, "one", 0.8, answers([5]))
    found = compare(workspace, made, made)
    assert (found.parameters, found.spec, found.data, found.code) == ({}, {}, {}, {})
    assert found.tests["label"].p_value == 1.0
    assert "new is equal" in verdicts(found)[0]


def test_what_one_spec_leaves_unsaid_is_no_difference(workspace: Workspace) -> None:
    first, second = make(workspace, "one"), make(workspace, "two")
    spelt_out = spec(seed=7).model_dump_json()
    connect(workspace.settings).log_text(second.trained.mlflow_run, spelt_out, "spec.json")
    assert compare(workspace, first, second).spec == {"seed": ("42", "7")}


def test_the_stage_folders_are_not_needed(workspace: Workspace, better: tuple[Made, Made]) -> None:
    shutil.rmtree(workspace.home / "stages")
    assert compare(workspace, *better).note is None


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"data_hash": "e" * 64, "predictions": answers()}, "other data or another split"),
        ({"predictions": answers(rows=38)}, "other test rows"),
        ({}, "no predictions are kept of new"),
    ],
)
def test_other_rows_cannot_be_paired_and_that_is_said(
    workspace: Workspace, second: dict[str, Any], words: str
) -> None:
    found = compare(
        workspace,
        make(workspace, "one", predictions=answers()),
        make(workspace, "two", **second),
    )
    assert found.tests == {}
    assert words in verdicts(found)[0]
    assert short_verdict(found) == "not comparable in pairs"
    assert ("rows and split" in found.data) == ("data_hash" in second)


def test_other_images_behind_the_same_rows_cannot_be_paired(
    workspace: Workspace, better: tuple[Made, Made]
) -> None:
    client = connect(workspace.settings)
    client.set_tag(better[1].trained.mlflow_run, "modelyard.dvc_hash", "other")
    found = compare(workspace, *better)
    assert "other data" in verdicts(found)[0]
    assert found.data == {"data (DVC)": (None, "other")}


def test_predictions_that_cannot_be_read_are_a_tracking_error(workspace: Workspace) -> None:
    broken = answers().rename(columns={"row": "line"})
    made = make(workspace, "one", predictions=broken)
    with pytest.raises(TrackingError, match=r"predictions.parquet cannot be read"):
        compare(workspace, made, made)


def test_numbers_and_masks_are_tested_by_their_errors() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=100)
    base = {"progress.truth": truth, "progress.prediction": truth + 1}
    first = pd.DataFrame({**base, "mask.dice": random.uniform(0.5, 0.6, 100)})
    closer = {"progress.prediction": truth + 0.1, "mask.dice": first["mask.dice"] + 0.2}
    tests = paired_tests(first, first.assign(**closer))
    assert tests["progress"].measure == "mean absolute error"
    assert tests["progress"].difference == pytest.approx(-0.9)
    assert tests["mask"].measure == "Dice"
    assert tests["mask"].difference == pytest.approx(0.2)
    assert all(test.significant for test in tests.values())


def test_outputs_whose_truth_differs_are_not_tested() -> None:
    first = answers()
    other = first.assign(**{"label.truth": first["label.truth"][::-1].to_numpy()})
    assert paired_tests(first, other) == {}


def test_only_what_differs_is_listed() -> None:
    found = differing({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
    assert found == {"a": ("1", None), "b": ("2", "3"), "c": (None, "4")}
    assert differing({"a": "1"}, {"a": "1"}) == {}


def test_the_page_has_every_part(workspace: Workspace, better: tuple[Made, Made]) -> None:
    page = markdown(compare(workspace, *better))
    assert page.startswith("# new against old\n")
    assert "| label.accuracy | 0.8 | 1 |" in page
    assert page.count("\n## ") == 5


def test_long_values_and_bars_are_tamed() -> None:
    assert len(cell("x" * 200)) == 60
    assert cell(None) == "-"


def test_an_evaluation_is_shown_beside_the_champion_in_mlflow(
    workspace: Workspace, better: tuple[Made, Made]
) -> None:
    first, _ = better
    registry.register(spec(), workspace, first.split, first.trained, first.evaluation, run="run-1")
    third = make(workspace, "three", 1.0, answers())
    client = connect(workspace.settings)
    run = client.get_run(third.trained.mlflow_run)
    assert run.data.tags["modelyard.compared_with"] == "flowers 1"
    assert run.data.tags["modelyard.comparison"] == "label better (p = 0.0078)"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("Which flower it is.")
    assert "more than chance" in note
    kept = {entry.path for entry in client.list_artifacts(run.info.run_id, "comparison")}
    assert kept == {"comparison/flowers-1.md", "comparison/flowers-1.json"}


def test_a_comparison_that_fails_is_no_failed_evaluation(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    first = make(workspace, "one", predictions=answers().rename(columns={"row": "line"}))
    registry.register(spec(), workspace, first.split, first.trained, first.evaluation, run="run-1")
    second = make(workspace, "two", predictions=answers())
    run = connect(workspace.settings).get_run(second.trained.mlflow_run)
    assert run.data.tags["modelyard.comparison"] == "failed"
    assert run.data.tags["modelyard.gate"] == "passed"
    assert "cannot be read" in caplog.text
