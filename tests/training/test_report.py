"""Per-class figures, ROC and calibration follow from the predictions alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.features import ModelFeature, ModelSignature
from modelyard.training.plots import draw
from modelyard.training.report import (
    Bin,
    calibration_error,
    class_table,
    metrics_of,
    per_class,
    reliability,
    roc_curves,
)

NAMES = tuple(str(number) for number in range(11))


def feature(kind: str, *categories: str) -> ModelFeature:
    known = categories or None
    return ModelFeature(name="y", column="y", type=kind, required=True, categories=known)


def predictions(labels: tuple[str, ...], seed: int = 0, rows: int = 300) -> pd.DataFrame:
    """Truths, and probabilities that are right on average."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(len(labels), 0.4), size=rows)
    truth = [labels[random.choice(len(labels), p=share)] for share in shares]
    table = pd.DataFrame({"row": range(rows), "y.truth": truth})
    table["y.prediction"] = [labels[place] for place in shares.argmax(axis=1)]
    table["y.probability"] = shares.max(axis=1)
    for place, label in enumerate(labels):
        table[f"y.probability.{label}"] = shares[:, place]
    return table


def test_the_weakest_class_comes_first() -> None:
    table = predictions(("a", "b", "c"))
    table.loc[table["y.truth"] == "b", "y.prediction"] = "a"
    report = class_table(feature("category", "a", "b", "c"), table)
    assert report["class"][0] == "b"
    assert report["recall"][0] == 0
    assert report["f1"].is_monotonic_increasing
    assert report["rows"].sum() == len(table)


def test_a_class_that_nobody_predicted_or_had_is_no_error() -> None:
    table = pd.DataFrame({"y.truth": ["a", "a"], "y.prediction": ["b", "a"]})
    report = class_table(feature("category", "a", "b", "c"), table)
    assert report["class"].tolist() == ["b", "a"]
    assert report["roc_auc"].isna().all()


def test_few_classes_have_metrics_and_many_have_none() -> None:
    output = feature("category", "a", "b")
    figures = per_class(output, class_table(output, predictions(("a", "b"))))
    assert set(figures) == {f"y.{n}.{c}" for n in ("precision", "recall", "f1") for c in "ab"}
    many = tuple(f"c{number}" for number in range(25))
    crowd = feature("category", *many)
    assert per_class(crowd, class_table(crowd, predictions(many))) == {}


def test_two_classes_have_one_curve_and_it_is_sklearns() -> None:
    from sklearn.metrics import roc_auc_score

    table = predictions(("no", "yes"))
    (curve,) = roc_curves(feature("binary", "no", "yes"), table)
    expected = roc_auc_score(table["y.truth"] == "yes", table["y.probability.yes"])
    assert (curve.label, curve.area) == ("yes", pytest.approx(expected))


def test_curves_stand_in_the_order_of_numbers() -> None:
    curves = roc_curves(feature("category", *NAMES), predictions(NAMES))
    assert [curve.label for curve in curves] == list(NAMES)


def test_one_class_in_the_test_rows_has_no_curve() -> None:
    table = predictions(("a", "b"))
    assert roc_curves(feature("category", "a", "b"), table[table["y.truth"] == "a"]) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_calibration_bins_hold_every_row_once(seed: int, classes: int) -> None:
    table = predictions(NAMES[:classes], seed, rows=40)
    bins = reliability(feature("category", *NAMES[:classes]), table)
    assert sum(one.rows for one in bins) == 40
    assert all(one.low <= one.confidence <= one.high + 1e-9 for one in bins)
    assert 0 <= calibration_error(bins) <= 1


def test_honest_probabilities_are_nearly_calibrated() -> None:
    honest = predictions(("a", "b", "c"), rows=20_000)
    output = feature("category", "a", "b", "c")
    boastful = honest.assign(**{"y.probability": 0.999})
    assert calibration_error(reliability(output, honest)) < 0.02
    assert calibration_error(reliability(output, boastful)) > 0.1


def test_the_calibration_error_by_hand() -> None:
    bins = [Bin(0.4, 0.5, 10, 0.45, 0.55), Bin(0.9, 1.0, 30, 0.95, 0.75)]
    assert calibration_error(bins) == pytest.approx((10 * 0.1 + 30 * 0.2) / 40)


def test_figures_are_named_so_that_a_gate_knows_their_direction() -> None:
    from modelyard.training.metrics import lower_is_better

    signature = ModelSignature(inputs=(), outputs=(feature("category", "a", "b", "c"),))
    figures = metrics_of(signature, predictions(("a", "b", "c")))
    assert set(figures) == {"y.calibration_error", "y.roc_auc_macro"}
    assert lower_is_better("y.calibration_error")
    assert not lower_is_better("y.roc_auc_macro")


HISTORY = [
    {"epoch": 1.0, "train/y.loss": 1.0, "learning_rate": 0.1, "epoch_seconds": 1.0},
    {"epoch": 2.0, "train/y.loss": 0.5, "learning_rate": 0.001, "epoch_seconds": 1.1},
]


def test_labels_get_their_plots(tmp_path: Path) -> None:
    signature = ModelSignature(inputs=(), outputs=(feature("category", *NAMES),))
    drawn = draw(signature, HISTORY, predictions(NAMES), tmp_path, 2)
    kinds = {"training_pace", "y_curves", "y_confusion", "y_roc", "y_calibration"}
    assert {file.stem for file in drawn} == kinds
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn)


def test_numbers_get_their_plots_and_equal_runs_equal_files(tmp_path: Path) -> None:
    signature = ModelSignature(inputs=(), outputs=(feature("number"),))
    truth = np.linspace(0, 9, 30)
    table = pd.DataFrame({"y.truth": truth, "y.prediction": truth + np.sin(truth)})
    first, second = (draw(signature, HISTORY, table, tmp_path / name, 2) for name in "ab")
    assert {file.stem for file in first} == {
        "training_pace",
        "y_curves",
        "y_scatter",
        "y_residuals",
    }
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_without_times_there_is_no_pace(tmp_path: Path) -> None:
    signature = ModelSignature(inputs=(), outputs=())
    assert draw(signature, [{"epoch": 1.0}], pd.DataFrame(), tmp_path, 1) == []
