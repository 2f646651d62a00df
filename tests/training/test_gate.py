"""The gate holds a model against what the spec asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.spec.models import GateRule
from modelyard.training.gate import decide
from modelyard.training.metrics import lower_is_better

figures = st.floats(min_value=-100, max_value=100)


def rule(**parts: object) -> GateRule:
    return GateRule.model_validate({"metric": "label.accuracy", **parts})


def test_a_spec_without_rules_lets_everything_pass() -> None:
    assert decide((), {}, None) == ()


@pytest.mark.parametrize(("value", "passes"), [(0.94, False), (0.95, True), (0.96, True)])
def test_at_least_includes_the_threshold(value: float, passes: bool) -> None:
    (result,) = decide([rule(at_least=0.95)], {"label.accuracy": value}, None)
    assert (result.passed, result.value, result.threshold) == (passes, value, 0.95)


def test_at_most_refuses_what_is_above() -> None:
    loss = GateRule(metric="label.loss", at_most=0.2)
    assert not decide([loss], {"label.loss": 0.3}, None)[0].passed
    assert decide([loss], {"label.loss": 0.2}, None)[0].passed


def test_a_missing_metric_is_refused_with_the_nearest_name() -> None:
    (result,) = decide(
        [GateRule(metric="label.acuracy", at_least=0.5)], {"label.accuracy": 1}, None
    )
    assert not result.passed
    assert result.value is None
    assert "did you mean label.accuracy?" in result.rule


def test_without_a_champion_a_comparison_passes_and_says_why() -> None:
    (result,) = decide([rule(within=0.01, of="champion")], {"label.accuracy": 0.1}, None)
    assert result.passed
    assert result.threshold is None
    assert "no champion yet" in result.rule


def test_a_champion_without_the_metric_refuses() -> None:
    rules = [rule(within=0.01, of="champion")]
    (result,) = decide(rules, {"label.accuracy": 0.9}, {"label.loss": 0.1})
    assert not result.passed
    assert "the champion has no such metric" in result.rule


def test_within_leaves_room_for_binary_fractions() -> None:
    rules = [rule(within=0.1, of="champion")]
    (result,) = decide(rules, {"label.accuracy": 0.2}, {"label.accuracy": 0.3})
    assert result.passed  # 0.3 - 0.1 is 0.19999999999999998, and 0.1 + 0.2 is more than 0.3


def test_a_loss_is_better_when_it_is_lower() -> None:
    rules = [GateRule(metric="label.loss", within=0.05, of="champion")]
    assert decide(rules, {"label.loss": 0.14}, {"label.loss": 0.1})[0].passed
    assert not decide(rules, {"label.loss": 0.16}, {"label.loss": 0.1})[0].passed


@given(value=figures, best=figures, within=st.floats(min_value=0, max_value=10))
def test_as_good_as_the_champion_always_passes(value: float, best: float, within: float) -> None:
    rules = [rule(within=within, of="champion")]
    (result,) = decide(rules, {"label.accuracy": value}, {"label.accuracy": best})
    assert result.passed or value < best


@given(value=figures, best=figures, within=st.floats(min_value=0, max_value=10))
def test_a_mirrored_metric_gives_the_mirrored_answer(
    value: float, best: float, within: float
) -> None:
    higher = [rule(within=within, of="champion")]
    lower = [GateRule(metric="label.loss", within=within, of="champion")]
    one = decide(higher, {"label.accuracy": value}, {"label.accuracy": best})[0].passed
    other = decide(lower, {"label.loss": -value}, {"label.loss": -best})[0].passed
    assert one == other


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("label.accuracy", False),
        ("label.loss", True),
        ("combined.loss", True),
        ("y.root_mean_squared_error", True),
        ("y.rmse", True),
        ("y.r2", False),
        ("label.roc_auc", False),
        ("label.f1_weighted", False),
    ],
)
def test_the_direction_follows_the_name(metric: str, lower: bool) -> None:
    assert lower_is_better(metric) is lower
