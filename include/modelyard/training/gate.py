"""The gate: pure rules that a model must meet before it may become challenger."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from modelyard.artifacts import GateResult
from modelyard.spec.models import GateRule
from modelyard.training.metrics import lower_is_better

ROUNDING = 1e-9


def decide(
    rules: Sequence[GateRule],
    metrics: Mapping[str, float],
    champion: Mapping[str, float] | None,
) -> tuple[GateResult, ...]:
    """Hold each rule against the metrics, and against the champion's where a rule says so."""
    return tuple(_result(rule, metrics, champion) for rule in rules)


def _result(
    rule: GateRule, metrics: Mapping[str, float], champion: Mapping[str, float] | None
) -> GateResult:
    value = metrics.get(rule.metric)
    if value is None:
        return _refused(_in_words(rule), _no_such_metric(rule.metric, metrics))
    if rule.within is None:
        return _absolute(rule, value)
    return _relative(rule, value, rule.within, champion)


def _absolute(rule: GateRule, value: float) -> GateResult:
    threshold = rule.at_least if rule.at_least is not None else rule.at_most
    assert threshold is not None, "a rule has exactly one condition"
    passed = _reaches(value, threshold, lower=rule.at_least is None)
    return GateResult(rule=_in_words(rule), value=value, threshold=threshold, passed=passed)


def _relative(
    rule: GateRule, value: float, within: float, champion: Mapping[str, float] | None
) -> GateResult:
    words = _in_words(rule)
    if champion is None:
        text = f"{words} (there is no champion yet)"
        return GateResult(rule=text, value=value, threshold=None, passed=True)
    best = champion.get(rule.metric)
    if best is None:
        return _refused(words, "the champion has no such metric", value)
    lower = lower_is_better(rule.metric)
    threshold = best + within if lower else best - within
    passed = _reaches(value, threshold, lower=lower)
    return GateResult(rule=words, value=value, threshold=threshold, passed=passed)


def _reaches(value: float, threshold: float, *, lower: bool) -> bool:
    """Compare with room for what binary fractions cannot say, such as 0.97 - 0.01."""
    return value <= threshold + ROUNDING if lower else value >= threshold - ROUNDING


def _refused(words: str, why: str, value: float | None = None) -> GateResult:
    return GateResult(rule=f"{words} ({why})", value=value, threshold=None, passed=False)


def _in_words(rule: GateRule) -> str:
    if rule.at_least is not None:
        return f"{rule.metric} at least {rule.at_least:g}"
    if rule.at_most is not None:
        return f"{rule.metric} at most {rule.at_most:g}"
    return f"{rule.metric} within {rule.within:g} of the champion"


def _no_such_metric(metric: str, metrics: Mapping[str, float]) -> str:
    near = difflib.get_close_matches(metric, metrics, n=1, cutoff=0.5)
    return f"the model has no {metric}" + (f", did you mean {near[0]}?" if near else "")
