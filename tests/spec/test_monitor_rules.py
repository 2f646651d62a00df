"""What the section `monitor` asks for must be possible with the model's features."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.spec import rules
from modelyard.spec.lines import dotted

type Raw = dict[str, Any]


@pytest.fixture
def tabular(raw: Raw) -> Raw:
    raw["model"]["input_features"] = [
        {"name": "age", "type": "number"},
        {"name": "site", "type": "category", "column": "site_code"},
    ]
    return raw


def said(raw: Raw, **monitor: object) -> dict[str, str]:
    return {
        dotted(finding.path): f"{finding.message} ({finding.hint})"
        for finding in rules.check({**raw, "monitor": monitor})
    }


def test_a_section_that_fits_the_model_breaks_no_rule(tabular: Raw) -> None:
    given = {
        "segment_by": "site_code",
        "metrics": ["label.f1", "label.recall.7"],
        "retrain": {"data": "labelled"},
    }
    assert said(tabular, **given) == {}


def test_a_segment_is_the_column_of_an_input_with_few_values(tabular: Raw) -> None:
    assert "did you mean `site_code`" in said(tabular, segment_by="site_cod")["monitor.segment_by"]
    assert "make no segments" in said(tabular, segment_by="age")["monitor.segment_by"]


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("lable.accuracy", "did you mean `label`"),
        ("label.acuracy", "did you mean `accuracy`"),
        ("label.accuracy.7", "not watched"),
        ("label.rmse", "not watched for the category output"),
    ],
)
def test_a_metric_that_cannot_be_watched_is_refused(tabular: Raw, metric: str, says: str) -> None:
    assert says in said(tabular, metrics=["label.accuracy", metric])["monitor.metrics[1]"]


def test_labels_of_masks_cannot_be_watched(raw: Raw) -> None:
    raw["model"]["output_features"] = [{"name": "mask", "type": "image"}]
    assert "cannot be compared" in said(raw, metrics=["mask.iou"])["monitor.metrics[0]"]


def test_learning_from_images_again_needs_them_kept(raw: Raw) -> None:
    refused = said(raw, retrain={"data": "labelled"})
    assert "add keep_inputs: true" in refused["monitor.retrain.data"]
    assert said(raw, retrain={"data": "labelled"}, keep_inputs=True) == {}


@pytest.mark.parametrize("monitor", [None, [], "no", {"metrics": "label.f1", "segment_by": 3}])
def test_rules_hold_their_peace_where_the_section_is_no_section(raw: Raw, monitor: object) -> None:
    assert not any(
        dotted(finding.path).startswith("monitor")
        for finding in rules.check({**raw, "monitor": monitor})
    )
