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


@pytest.mark.parametrize("space", ["uniform", "loguniform"])
def test_a_grid_needs_values_to_go_through(raw: Raw, space: str) -> None:
    ranged = {"space": space, "lower": 0.001, "upper": 0.1}
    raw["tune"] = {"search": "grid", "parameters": {"trainer.learning_rate": ranged}}
    assert "no values to go through" in said(raw)["tune.parameters.trainer.learning_rate"]
    raw["tune"]["search"] = "tpe"
    assert said(raw) == {}


@pytest.mark.parametrize(
    "space",
    [{"space": "choice", "categories": [2, 3]}, {"space": "int", "lower": 2, "upper": 4}],
)
def test_a_grid_goes_through_choices_and_whole_numbers(raw: Raw, space: Raw) -> None:
    raw["tune"] = {"search": "grid", "parameters": {"trainer.epochs": space}}
    assert said(raw) == {}


@pytest.mark.parametrize(
    ("tune", "field", "says"),
    [
        ({"grace_epochs": 5}, "tune.grace_epochs", "without a scheduler"),
        ({"scheduler": "asha", "grace_epochs": 5}, "tune.grace_epochs", "no trial can be stopped"),
        ({"scheduler": "asha", "grace_epochs": 4}, None, ""),
        ({"scheduler": "median"}, None, ""),
        ({"scheduler": None, "grace_epochs": 3}, None, ""),
    ],
)
def test_early_stopping_must_be_able_to_stop_something(
    raw: Raw, tune: Raw, field: str | None, says: str
) -> None:
    raw["tune"] = {"parameters": {}, **tune}
    assert (says in said(raw)[field]) if field else (said(raw) == {})


def test_the_default_grace_is_measured_against_the_epochs_too(raw: Raw) -> None:
    raw["model"]["trainer"]["epochs"] = 3
    raw["tune"] = {"parameters": {}, "scheduler": "asha"}
    assert "may train 3 epochs and has 3" in said(raw)["tune.scheduler"]


def test_workers_need_a_backend_that_has_some(raw: Raw) -> None:
    raw["resources"] = {"workers": 2}
    assert "2 workers cannot share one" in said(raw)["resources.workers"]
    raw["resources"] = {"backend": "ray", "workers": 2}
    assert list(said(raw)) == ["resources.backend"]
    assert "trials and folds do spread" in said(raw)["resources.backend"]


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"pictur": {"source": "w.pth"}}, "did you mean `picture`"),
        ({"width": {"source": "w.pth"}}, "none of torchvision's"),
        ({"label": {"source": "w.pth"}}, "no input feature"),
    ],
)
def test_weights_belong_to_an_image_encoder_of_the_model(raw: Raw, weights: Raw, says: str) -> None:
    raw["weights"] = weights
    assert says in said(raw)[f"weights.{next(iter(weights))}"]


def test_weights_and_no_weights_are_not_asked_for_at_once(raw: Raw) -> None:
    raw["model"]["input_features"][1]["encoder"] = {"type": "resnet", "model_variant": 18}
    raw["weights"] = {"picture": {"source": "w.pth"}}
    assert said(raw) == {}
    raw["model"]["input_features"][1]["encoder"]["use_pretrained"] = False
    assert "use_pretrained is false" in said(raw)["weights.picture"]


@pytest.mark.parametrize(
    ("kind", "encoder"),
    [
        ("timeseries", "nbeats"),
        ("timeseries", "patchtst"),
        ("timeseries", "passthrough"),
        ("text", "tf_idf"),
        ("text", "mamba2"),
        ("sequence", "jamba"),
        ("vector", "passthrough"),
        ("image", "mnasnet"),
    ],
)
def test_an_encoder_that_is_known_to_fail_is_refused_with_one_that_works(
    raw: Raw, kind: str, encoder: str
) -> None:
    raw["model"]["input_features"] = [{"name": "x", "type": kind, "encoder": {"type": encoder}}]
    assert "work" in said(raw)["model.input_features[0].encoder.type"].partition("(")[2]


def test_series_may_pass_through_to_the_combiner_that_takes_them(raw: Raw) -> None:
    series = {"name": "x", "type": "timeseries", "encoder": {"type": "passthrough"}}
    raw["model"]["input_features"] = [series]
    raw["model"]["combiner"] = {"type": "series_rnn"}
    assert said(raw) == {}


def test_a_size_that_an_encoder_would_not_keep_to_is_refused(raw: Raw) -> None:
    feature = raw["model"]["input_features"][1]
    feature["encoder"] = {"type": "vgg"}
    feature["preprocessing"] = {"height": 32}
    assert "has no effect" in said(raw)["model.input_features[1].preprocessing.height"]


@pytest.mark.parametrize("combiner", ["sequence", "sequence_concat"])
def test_a_combiner_of_sequences_needs_one(raw: Raw, combiner: str) -> None:
    encoder = {"type": "rnn"}
    raw["model"]["combiner"] = {"type": combiner}
    raw["model"]["input_features"] = [{"name": "x", "type": "text", "encoder": encoder}]
    assert "reduce_output: null" in said(raw)["model.combiner.type"]
    encoder["reduce_output"] = None  # type: ignore[assignment]
    assert said(raw) == {}


@pytest.mark.parametrize(
    ("size", "layers"),
    [(8, [{}, {}]), (8, [{}, {}, {}]), (5, [{"kernel_size": 7}]), (12, [{"stride": 4}, {}])],
)
def test_what_is_said_to_work_does(raw: Raw, size: int, layers: list[Raw]) -> None:
    feature = raw["model"]["input_features"][1]
    feature["preprocessing"] = {"height": size, "width": size}
    feature["encoder"]["conv_layers"] = layers
    [hint] = [text.partition("would work: ")[2] for text in said(raw).values()]
    if "padding: same" in hint:
        feature["encoder"]["conv_layers"] = [{**layer, "padding": "same"} for layer in layers]
        assert said(raw) == {}
    if "instead of" in hint:
        fewer = int(hint.partition(" instead of")[0].split(", ")[-1])
        feature["encoder"]["conv_layers"] = layers[:fewer]
        assert said(raw) == {}
    feature["encoder"]["conv_layers"] = layers
    larger = int(hint.partition("height: ")[2].split()[0])
    for side, fits in ((larger, True), (larger - 1, False)):
        feature["preprocessing"] = {"height": side, "width": side}
        assert (said(raw) == {}) == fits


@pytest.mark.parametrize("kind", ["lamb", "lars", "lion", "adafactor", "schedule_free_adamw"])
def test_an_optimizer_that_is_known_to_fail_is_refused(raw: Raw, kind: str) -> None:
    raw["model"]["trainer"]["optimizer"] = {"type": kind}
    assert "does not work" in said(raw)["model.trainer.optimizer.type"]


@pytest.mark.parametrize("kind", ["adamw_8bit", "paged_adam"])
def test_an_optimizer_for_gpus_needs_one(raw: Raw, kind: str) -> None:
    raw["model"]["trainer"]["optimizer"] = {"type": kind}
    assert "needs a GPU" in said(raw)["model.trainer.optimizer.type"]
    raw["resources"] = {"gpus": 0.5}
    assert said(raw) == {}


def test_gradients_are_clipped_in_one_way(raw: Raw) -> None:
    clipping: Raw = {"clipvalue": 0.5}
    raw["model"]["trainer"]["gradient_clipping"] = clipping
    found = said(raw)["model.trainer.gradient_clipping.clipvalue"]
    assert "clipglobalnorm: null" in found
    clipping["clipglobalnorm"] = None
    assert said(raw) == {}
