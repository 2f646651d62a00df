"""The check knows what Modelyard measures and adds beyond Ludwig."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.spec import ludwig_limits
from modelyard.spec.rules import MEASURED, check


def raw(kind: str, metric: str, section: str = "gate") -> dict[str, Any]:
    rule: Any = [{"metric": metric, "at_least": 0.5}] if section == "gate" else {"metric": metric}
    return {
        "name": "x",
        "data": {"path": "x"},
        "model": {
            "input_features": [{"name": "a", "type": "number"}],
            "output_features": [{"name": "y", "type": kind}],
        },
        section: rule,
    }


def findings(document: dict[str, Any], section: str) -> list[str]:
    return [str(one.message) for one in check(document) if one.path[0] == section]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in MEASURED.items() for name in names]
)
def test_a_gate_may_ask_for_what_evaluate_measures(kind: str, name: str) -> None:
    assert findings(raw(kind, f"y.{name}"), "gate") == []


def test_a_search_may_not_since_no_epoch_has_it() -> None:
    assert "no metric" in findings(raw("image", "y.dice", "tune"), "tune")[0]


def test_another_outputs_metric_is_refused() -> None:
    assert "no metric" in findings(raw("category", "y.dice"), "gate")[0]


def series(combiner: str | None) -> list[str]:
    encoder = {"type": "passthrough"}
    model: dict[str, Any] = {
        "input_features": [{"name": "a", "type": "timeseries", "encoder": encoder}],
        "output_features": [{"name": "y", "type": "category"}],
    }
    if combiner:
        model["combiner"] = {"type": combiner}
    return [str(one.message) for one in ludwig_limits.check(model)]


def test_plain_series_are_for_modelyards_own_combiner() -> None:
    assert series("series_rnn") == []
    assert "does not work" in series("concat")[0]
    assert "does not work" in series(None)[0]
