"""What must hold between the parts of a spec."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.spec import rules
from modelyard.spec.lines import dotted

type Raw = dict[str, Any]


def said(raw: Raw) -> dict[str, str]:
    return {
        dotted(finding.path): f"{finding.message} ({finding.hint})" for finding in rules.check(raw)
    }


def test_a_right_spec_breaks_no_rule(raw: Raw) -> None:
    assert said(raw) == {}


@pytest.mark.parametrize("model", [None, [], {}, {"input_features": None, "output_features": [3]}])
def test_rules_hold_their_peace_where_the_model_is_no_model(raw: Raw, model: Any) -> None:
    assert said({**raw, "model": model}) == {}


@pytest.mark.parametrize("metric", ["label.accuracy", "label.loss", "label.roc_auc"])
def test_known_metrics_pass(raw: Raw, metric: str) -> None:
    raw["gate"] = [{"metric": metric, "at_least": 0.5}]
    assert said(raw) == {}


def test_a_metric_of_another_output_type_is_refused(raw: Raw) -> None:
    raw["gate"] = [{"metric": "label.r2", "at_least": 0.5}]
    assert "no metric of the category output" in said(raw)["gate[0].metric"]


def test_the_combined_loss_may_be_tuned_but_not_gated(raw: Raw) -> None:
    raw["tune"] = {"metric": "combined.loss", "parameters": {}}
    assert said(raw) == {}
    raw["gate"] = [{"metric": "combined.loss", "at_most": 1}]
    assert "no output feature" in said(raw)["gate[0].metric"]


def test_a_tuned_metric_names_its_output(raw: Raw) -> None:
    raw["tune"] = {"metric": "accuracy", "parameters": {}}
    assert "OUTPUT.METRIC" in said(raw)["tune.metric"]


def test_a_stratified_column_may_be_no_feature(raw: Raw) -> None:
    raw["data"]["split"] = {"stratify": "hospital"}
    assert said(raw) == {}


def test_a_stratified_column_that_is_checked_is_no_misspelling(raw: Raw) -> None:
    raw["data"]["split"] = {"stratify": "labels"}
    assert "did you mean `label`" in said(raw)["data.split.stratify"]
    raw["data"]["checks"] = [{"column": "labels", "not_null": True}]
    assert said(raw) == {}


def test_stratify_goes_by_the_feature_s_column(raw: Raw) -> None:
    raw["model"]["output_features"][0]["column"] = "species"
    raw["data"]["split"] = {"stratify": "species"}
    assert said(raw) == {}


def test_a_dot_in_a_name_is_refused(raw: Raw) -> None:
    raw["model"]["input_features"][0]["name"] = "petal.width"
    assert "has a dot" in said(raw)["model.input_features[0].name"]


@pytest.mark.parametrize(
    ("key", "space"),
    [
        ("trainer.learning_rate", {"space": "loguniform", "lower": 1e-5, "upper": 0.1}),
        ("picture.encoder.output_size", {"space": "int", "lower": 8, "upper": 64}),
        ("trainer.optimizer.type", {"space": "choice", "categories": ["adam", "sgd"]}),
        ("combiner.num_fc_layers", {"space": "choice", "categories": [1, 2]}),
        (
            "defaults.number.preprocessing.normalization",
            {"space": "choice", "categories": ["zscore"]},
        ),
    ],
)
def test_what_may_stand_in_the_model_may_be_tuned(raw: Raw, key: str, space: Raw) -> None:
    raw["tune"] = {"parameters": {key: space}}
    assert said(raw) == {}


@pytest.mark.parametrize(
    ("key", "space", "says"),
    [
        ("trainer.epochs", {"space": "uniform", "lower": 1.5, "upper": 3}, "a whole number"),
        ("combiner.dropout", {"space": "uniform", "lower": 0, "upper": 2}, "1 or less"),
        ("combiner.type", {"space": "choice", "categories": ["concatt"]}, "did you mean `concat`"),
        (
            "pictur.encoder.type",
            {"space": "choice", "categories": ["vgg"]},
            "did you mean `picture`",
        ),
        ("input_features[9].encoder", {"space": "choice", "categories": ["vgg"]}, "leads nowhere"),
        ("trainer.epochs.x", {"space": "int", "lower": 1, "upper": 2}, "leads nowhere"),
        ("trainer..x", {"space": "int", "lower": 1, "upper": 2}, "not a dotted key"),
    ],
)
def test_what_may_not_stand_there_may_not_be_tuned(
    raw: Raw, key: str, space: Raw, says: str
) -> None:
    raw["tune"] = {"parameters": {key: space}}
    assert says in said(raw)[f"tune.parameters.{key}"]


@pytest.mark.parametrize(
    ("size", "layers", "fits"),
    [
        (8, [{"padding": "same"}, {"padding": "same"}], True),
        (8, [{}, {}], False),
        (28, [{}, {}], True),
        (28, [{}, {}, {}, {}], False),
        (8, [{"pool_kernel_size": None}, {"pool_kernel_size": None}], True),
        (5, [{"kernel_size": 7}], False),
        (5, [{"kernel_size": 7, "padding": 3}], True),
    ],
)
def test_convolutions_that_leave_nothing_are_found(
    raw: Raw, size: int, layers: list[Raw], fits: bool
) -> None:
    feature = raw["model"]["input_features"][1]
    feature["preprocessing"] = {"height": size, "width": size}
    feature["encoder"]["conv_layers"] = layers
    assert (said(raw) == {}) == fits


def test_ludwigs_default_of_two_layers_is_followed_too(raw: Raw) -> None:
    raw["model"]["input_features"][1]["preprocessing"] = {"height": 8, "width": 64}
    assert "a height of 8 pixels" in said(raw)["model.input_features[1].encoder"]


@pytest.mark.parametrize("name", ["id", "version"])
def test_an_output_must_not_be_called_like_a_field_of_every_answer(raw: Raw, name: str) -> None:
    raw["model"]["output_features"][0]["name"] = name
    assert "each answer" in said(raw)["model.output_features[0].name"]
