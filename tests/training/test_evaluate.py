"""`evaluate` measures the test split, draws it, and asks the gate."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from modelyard.errors import TrainingError
from modelyard.features import ModelFeature
from modelyard.training.evaluate import evaluate
from modelyard.training.measure import labels, measure
from tests.training.samples import Chain, make_chain, split_column
from tests.training.samples import iris_spec as spec_of_iris

pytestmark = pytest.mark.heavy
PARTS = ("train", "validation", "test")


def test_metrics_are_flat_finite_and_complete(iris: Chain) -> None:
    metrics = iris.evaluation.metrics
    wanted = {"accuracy", "accuracy_macro", "loss", "precision_weighted", "f1_weighted"}
    assert {f"species.{name}" for name in wanted} <= set(metrics)
    assert all(type(value) is float and math.isfinite(value) for value in metrics.values())


def test_accuracy_is_the_share_of_right_predictions(iris: Chain) -> None:
    table = pd.read_parquet(iris.workspace.path(iris.evaluation.predictions))
    right = (table["species.truth"] == table["species.prediction"]).mean()
    assert iris.evaluation.metrics["species.accuracy"] == pytest.approx(right)


def test_predictions_name_the_tables_rows(iris: Chain) -> None:
    table = pd.read_parquet(iris.workspace.path(iris.evaluation.predictions))
    test = iris.rows[iris.rows["split"] == 2]
    assert table["row"].tolist() == test.index.tolist()
    assert table["species.truth"].tolist() == test["species"].tolist()


def test_each_class_has_its_probability(iris: Chain) -> None:
    table = pd.read_parquet(iris.workspace.path(iris.evaluation.predictions))
    columns = [f"species.probability.{name}" for name in ("setosa", "versicolor", "virginica")]
    assert table[columns].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


def test_plots_are_whole_images(iris: Chain) -> None:
    folder = iris.workspace.path(iris.evaluation.predictions).parent / "plots"
    names = sorted(file.name for file in folder.iterdir())
    kinds = ("calibration", "confusion", "curves", "roc")
    assert names == [*(f"species_{kind}.png" for kind in kinds), "training_pace.png"]
    for name in names:
        with Image.open(folder / name) as image:
            image.load()
            assert min(image.size) > 300


def test_every_class_is_reported(iris: Chain) -> None:
    folder = iris.workspace.path(iris.evaluation.predictions).parent
    table = pd.read_csv(folder / "report" / "species_classes.csv")
    assert sorted(table["class"]) == ["setosa", "versicolor", "virginica"]
    figures = json.loads((folder / "per_class.json").read_text())
    assert figures["species.recall.setosa"] == table.set_index("class")["recall"]["setosa"]
    assert {"species.calibration_error", "species.roc_auc_macro"} <= set(iris.evaluation.metrics)


def test_an_epoch_tells_losses_metrics_rate_and_times(iris: Chain) -> None:
    from modelyard.tracking.client import connect

    client, run_id = connect(iris.workspace.settings), iris.trained.mlflow_run
    per_epoch = {f"{part}/species.{name}" for part in PARTS for name in ("loss", "accuracy")}
    for name in (*per_epoch, "learning_rate", "batch_seconds", "epoch_seconds"):
        history = client.get_metric_history(run_id, name)
        assert sorted(point.step for point in history) == [*range(1, iris.trained.epochs + 1)], name
    once = client.get_run(run_id).data.metrics
    assert {"training_seconds", "parameters", "energy_kwh"} <= set(once)
    assert once["evaluation/species.f1_weighted"] > 0.5


def test_a_better_champion_refuses(iris: Chain) -> None:
    rules = [{"metric": "species.accuracy", "within": 0.0, "of": "champion"}]
    spec = spec_of_iris(gate=rules)
    champion = {"species.accuracy": 1.0}
    result = evaluate(spec, iris.split, iris.trained, iris.workspace, champion)
    assert not result.passed
    assert evaluate(spec, iris.split, iris.trained, iris.workspace, None).passed


def test_no_test_rows_are_refused(iris: Chain) -> None:
    rows = iris.rows.assign(split=0)
    with pytest.raises(TrainingError, match="no test rows"):
        measure(iris.spec, iris.workspace.path(iris.trained.model), rows)


def test_a_number_and_a_binary_output(tmp_path: Path) -> None:
    """Diabetes: one number, and whether it is above its median, as 0 and 1."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True).frame.head(200)
    rows = frame[["bmi", "bp", "s5"]].assign(
        progress=frame["target"],
        high=(frame["target"] > frame["target"].median()).astype(int),
        split=split_column(200),
    )
    model = {
        "input_features": [{"name": name, "type": "number"} for name in ("bmi", "bp", "s5")],
        "output_features": [
            {"name": "progress", "type": "number"},
            {"name": "high", "type": "binary"},
        ],
        "combiner": {"type": "concat", "num_fc_layers": 1, "output_size": 8},
        "trainer": {"epochs": 2, "batch_size": 32},
    }
    chain = make_chain(tmp_path, spec_of_iris(model=model, gate=[], name="diabetes"), rows)
    metrics = chain.evaluation.metrics
    assert {"progress.rmse", "progress.mae", "progress.r2", "high.f1_weighted"} <= set(metrics)
    table = pd.read_parquet(chain.workspace.path(chain.evaluation.predictions))
    assert set(table["high.truth"]) == {"False", "True"}
    plots = chain.workspace.path(chain.evaluation.predictions).parent / "plots"
    names = {file.name for file in plots.iterdir()}
    assert {"progress_scatter.png", "progress_residuals.png", "high_roc.png"} <= names


@pytest.mark.parametrize("values", [[0, 1], [False, True], ["no", "yes"], ["f", "t"], [0.0, 1.0]])
def test_binary_truths_are_spelled_as_the_model_does(values: list[object]) -> None:
    output = ModelFeature(
        name="sick", column="sick", type="binary", required=True, categories=("False", "True")
    )
    assert labels(pd.Series(values), output).tolist() == ["False", "True"]
