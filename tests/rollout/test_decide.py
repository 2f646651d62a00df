"""Decisions about a challenger: from where it is and what was counted, to what is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.rollout.decide import RolloutState, alpha_of, decide, look
from modelyard.rollout.evidence import Evidence, collect
from modelyard.rollout.sequential import Count
from modelyard.rollout.steps import Stage, first
from modelyard.spec.serve import RolloutSpec
from modelyard.store.records import Measure, Tally

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULES = RolloutSpec(shadow=200, canary=(0.05, 0.5))


def state(stage: Stage = "canary", step: int = 0, rules: RolloutSpec = RULES) -> RolloutState:
    return RolloutState(2, stage, step, rules, NOW)


def evidence(**counts: tuple[tuple[int, int], tuple[int, int]]) -> Evidence:
    """Measure to (trials, hits) of the champion and of the challenger."""
    return Evidence(
        {name: Count(*pair[0]) for name, pair in counts.items()},  # type: ignore[misc]
        {name: Count(*pair[1]) for name, pair in counts.items()},  # type: ignore[misc]
    )


FINE = evidence(errors=((9_500, 10), (500, 0)))


def test_a_broken_challenger_is_taken_away_at_once() -> None:
    found = decide(state(), evidence(errors=((95, 0), (6, 6))), NOW)
    assert found is not None
    assert found.act == "rollback"
    assert found.reason == (
        "version 2 is taken away: failed calls: 6 of 6 (100 %), the champion's 0 of 95 (0 %)"
    )


def test_a_broken_shadow_is_taken_away_too() -> None:
    found = decide(state("shadow"), evidence(errors=((12, 0), (12, 12))), NOW)
    assert found is not None
    assert found.act == "rollback"


@pytest.mark.parametrize(
    ("stage", "step", "act", "share"),
    [("shadow", 0, "canary", 0.05), ("canary", 0, "canary", 0.5), ("canary", 1, "promote", 1.0)],
)
def test_enough_good_evidence_leads_one_step_on(
    stage: Stage, step: int, act: str, share: float
) -> None:
    found = decide(state(stage, step), FINE, NOW)
    assert found is not None
    assert (found.act, found.share) == (act, share)


def test_with_approval_the_last_step_leads_to_waiting_and_waiting_to_nothing() -> None:
    rules = RULES.model_copy(update={"approve": True})
    found = decide(state("canary", 1, rules), FINE, NOW)
    assert found is not None
    assert found.act == "wait"
    assert decide(state("waiting", 1, rules), FINE, NOW) is None


def test_a_challenger_that_waits_can_still_be_taken_away() -> None:
    rules = RULES.model_copy(update={"approve": True})
    found = decide(state("waiting", 1, rules), evidence(errors=((50, 0), (50, 25))), NOW)
    assert found is not None
    assert found.act == "rollback"


def test_the_least_number_of_requests_is_waited_for_however_good_they_are() -> None:
    rules = RULES.model_copy(update={"min_requests": 1_000})
    assert decide(state(rules=rules), FINE, NOW) is None
    assert look(state(rules=rules), FINE).missing == ("requests: 500 of 1,000",)


def test_without_requests_nothing_is_decided() -> None:
    assert decide(state(), Evidence(), NOW) is None


def test_labels_that_come_are_waited_for() -> None:
    few = evidence(errors=((9_500, 10), (500, 0)), wrong=((10, 1), (4, 0)))
    many = evidence(errors=((9_500, 10), (500, 0)), wrong=((2_000, 200), (100, 11)))
    assert decide(state(), few, NOW) is not None
    assert decide(state(), many, NOW) is None
    assert "wrong answers" in look(state(), many).missing[0]


def test_labels_that_are_asked_for_are_waited_for() -> None:
    rules = RULES.model_copy(update={"min_labels": 100})
    assert look(state(rules=rules), FINE).missing == ("labels: 0 of 100",)


def test_a_challenger_whose_labels_contradict_it_is_taken_away() -> None:
    found = decide(state(), evidence(wrong=((950, 50), (50, 25))), NOW)
    assert found is not None
    assert found.reason.startswith("version 2 is taken away: wrong answers: 25 of 50")


def test_slow_first_answers_are_forgiven_until_there_are_enough() -> None:
    cold = evidence(errors=((95, 0), (5, 0)), slow=((95, 0), (5, 4)))
    slow = evidence(errors=((950, 0), (60, 0)), slow=((950, 3), (60, 40)))
    assert decide(state(), cold, NOW) is None
    found = decide(state(), slow, NOW)
    assert found is not None
    assert "slow answers" in found.reason


def test_a_shadow_is_not_judged_by_its_speed() -> None:
    slow = evidence(errors=((500, 0), (500, 0)), slow=((500, 3), (500, 400)))
    found = decide(state("shadow"), slow, NOW)
    assert found is not None
    assert found.act == "canary"


def test_disagreement_is_reported_and_decides_only_with_a_limit() -> None:
    counted = evidence(errors=((500, 0), (500, 0)), disagreements=((0, 0), (500, 200)))
    free = decide(state("shadow"), counted, NOW)
    assert free is not None
    assert free.act == "canary"
    measures = free.evidence["measures"]
    assert isinstance(measures, dict)
    assert measures["disagreements"]["verdict"] == "reported"  # type: ignore[index, call-overload]
    strict = RULES.model_copy(update={"max_disagreement": 0.1})
    limited = decide(state("shadow", rules=strict), counted, NOW)
    assert limited is not None
    assert limited.act == "rollback"
    assert "more than 0.1 allows" in limited.reason


def test_agreement_within_the_limit_leads_on() -> None:
    strict = RULES.model_copy(update={"max_disagreement": 0.1})
    counted = evidence(errors=((500, 0), (500, 0)), disagreements=((0, 0), (500, 20)))
    found = decide(state("shadow", rules=strict), counted, NOW)
    assert found is not None
    assert found.act == "canary"


def test_a_step_that_stays_undecided_is_rolled_back_if_the_spec_has_a_limit() -> None:
    later = NOW + timedelta(hours=25)
    little = evidence(errors=((20, 0), (2, 0)))
    assert decide(state(), little, later) is None
    limited = RULES.model_copy(update={"max_hours": 24})
    assert decide(state(rules=limited), little, NOW + timedelta(hours=23)) is None
    found = decide(state(rules=limited), little, later)
    assert found is not None
    assert found.reason == ("version 2 is taken away: undecided after 24 hours: requests: 2 of 50")


def test_a_decision_holds_its_evidence_for_the_ledger() -> None:
    found = decide(state(), FINE, NOW)
    assert found is not None
    assert found.evidence["alpha"] == 0.05
    measures = found.evidence["measures"]
    assert isinstance(measures, dict)
    errors = measures["errors"]
    assert isinstance(errors, dict)
    assert errors["challenger"] == {"trials": 500, "hits": 0}
    assert errors["champion"] == {"trials": 9_500, "hits": 10}
    high = errors["high"]
    assert isinstance(high, float)
    assert 0 < high < errors["margin"]  # type: ignore[operator]


@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.floats(0.01, 0.99), max_size=4, unique=True),
    st.integers(0, 6),
)
def test_all_phases_together_spend_at_most_alpha(
    shadow: bool, approve: bool, canary: list[float], added: int
) -> None:
    rules = RolloutSpec(shadow=int(shadow), approve=approve, canary=tuple(sorted(canary)))
    stages: list[tuple[Stage, int]] = [("shadow", 0)] if shadow else []
    stages += [("canary", step) for step in range(len(canary))]
    if approve:
        stages.append(("waiting", max(0, len(canary) - 1)))
        for step in range(len(canary), len(canary) + added):
            stages += [("canary", max(step, 1)), ("waiting", max(step, 1))]
    spent = sum(alpha_of(state(stage, step, rules)) for stage, step in dict.fromkeys(stages))
    assert spent <= rules.alpha * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from(["shadow", "canary", "waiting"]))
def test_a_challenger_that_does_as_the_champion_is_never_taken_away(
    trials: int, hits: int, stage: Stage
) -> None:
    hits = min(hits, trials)
    same = evidence(errors=((trials, hits), (trials, hits)))
    found = decide(state(stage), same, NOW)
    assert found is None or found.act != "rollback"


def test_a_rollout_begins_with_what_the_spec_has() -> None:
    assert first(RULES) == ("shadow", 1)
    assert first(RolloutSpec(canary=(0.2,))) == ("canary", 0.2)
    assert first(RolloutSpec(approve=True)) == ("waiting", 0)
    assert first(RolloutSpec()) == (None, 1)


def test_tallies_are_sorted_by_version_and_others_left_out() -> None:
    def tally(version: int, measure: Measure, trials: int) -> Tally:
        return Tally(model="m", version=version, phase="p", measure=measure, trials=trials, hits=1)

    found = collect([tally(1, "errors", 9), tally(2, "slow", 5), tally(7, "errors", 3)], 1, 2)
    assert found == Evidence({"errors": Count(9, 1)}, {"slow": Count(5, 1)})
