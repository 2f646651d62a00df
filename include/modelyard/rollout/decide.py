"""Decide what becomes of a challenger: a pure function of where it is and what was counted.

Two mistakes are possible, and each has a chance of at most alpha in a whole rollout, whatever the
traffic and however often one looks:

- Rolling back a challenger that is no worse. Every phase tests several measures, and any one of
  them may roll back: alpha is divided by their number (Bonferroni).
- Promoting one that is worse by more than a margin. All required measures of every step have to
  say that it is not, the last step's too: the chance that the one which is in truth worse says so
  is at most alpha, and nothing need be divided (intersection-union: Berger 1982, "Multiparameter
  hypothesis testing and acceptance sampling").

In between lies a challenger that is worse by less than the margin: both answers are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from modelyard.rollout.evidence import Comparison, Evidence, Judgement, as_json, in_words, judge
from modelyard.rollout.steps import Act, Decision, Stage
from modelyard.spec.serve import RolloutSpec

TESTS_A_PHASE = 3
"""errors, slow and wrong; in the shadow step disagreements instead of slow."""
LABELS_COME = 0.1
"""If so many of its answers are labelled, the labels are waited for, too."""


@dataclass(frozen=True, slots=True)
class RolloutState:
    """Where a challenger is.

    Args:
        version: The challenger.
        stage: Shadow, canary, or waiting for a person.
        step: Which canary share it has, from 0; further than the spec's where a person chose one.
        rules: What the spec says of its rollout.
        since: When the phase began.
    """

    version: int
    stage: Stage
    step: int
    rules: RolloutSpec
    since: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the evidence says by now, and what is missing to the next decision."""

    judgements: tuple[Judgement, ...]
    alpha_worse: float
    alpha_fine: float
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """The evidence as it stands in the ledger."""
        measures: dict[str, JsonValue] = {
            one.comparison.measure: as_json(one, self.alpha_worse, self.alpha_fine)
            for one in self.judgements
        }
        return {
            "alpha": self.alpha_fine,
            "alpha_worse": self.alpha_worse,
            "measures": measures,
            "missing": [*self.missing],
        }


def decide(state: RolloutState, evidence: Evidence, now: datetime) -> Decision | None:
    """Return what is to be done now; None to go on as it is."""
    outlook = look(state, evidence)
    worse = [one for one in outlook.judgements if one.verdict == "worse"]
    if worse:
        return _decided("rollback", state, "; ".join(map(_worse_in_words, worse)), outlook)
    if state.stage == "waiting":
        return None
    if not outlook.missing:
        return _onward(state, outlook)
    hours = state.rules.max_hours
    if hours is not None and now - state.since >= timedelta(hours=hours):
        reason = f"undecided after {hours:g} hours: {'; '.join(outlook.missing)}"
        return _decided("rollback", state, reason, outlook)
    return None


def look(state: RolloutState, evidence: Evidence) -> Outlook:
    """Judge the counts, and say what the next step still waits for."""
    alpha = state.rules.alpha
    alpha_worse = alpha_of(state) / TESTS_A_PHASE
    comparisons = comparisons_of(state, evidence)
    judgements = tuple(
        judge(comparison, evidence, alpha_worse, alpha) for comparison in comparisons
    )
    return Outlook(judgements, alpha_worse, alpha, _missing(state, judgements))


def alpha_of(state: RolloutState) -> float:
    """The part of alpha that this phase may spend on rolling back.

    The phases of the spec share alpha evenly. Steps that a person adds at an approval share one
    more part, each half of the one before.
    """
    rules = state.rules
    planned = bool(rules.shadow) + len(rules.canary) + rules.approve
    added = 2 * max(0, state.step + 1 - len(rules.canary)) if rules.approve else 0
    if not added:
        return rules.alpha / max(1, planned + rules.approve)
    later = added - (state.stage == "canary")
    return rules.alpha / (planned + 1) * 0.5**later


def comparisons_of(state: RolloutState, evidence: Evidence) -> tuple[Comparison, ...]:
    """Say what is tested in this phase, and how."""
    rules, shadow = state.rules, state.stage == "shadow"
    wrong = Comparison(
        "wrong", rules.margins.wrong, paired=shadow, required=_labels_awaited(rules, evidence)
    )
    errors = Comparison("errors", rules.margins.errors, paired=shadow)
    if shadow:
        limit = rules.max_disagreement
        disagree = Comparison(
            "disagreements",
            1.0 if limit is None else limit,
            paired=True,
            required=limit is not None,
            decisive=limit is not None,
        )
        return errors, wrong, disagree
    timed = any(side.get("slow") for side in (evidence.champion, evidence.challenger))
    slow = Comparison(
        "slow", rules.margins.slow, paired=False, required=timed, least=rules.min_requests
    )
    return errors, slow, wrong


def _labels_awaited(rules: RolloutSpec, evidence: Evidence) -> bool:
    """Whether quality must be shown: the spec asks for labels, or they come anyway."""
    if rules.min_labels:
        return True
    counts = evidence.challenger
    answered, labelled = counts.get("errors"), counts.get("wrong")
    if answered is None or labelled is None:
        return False
    return labelled.trials >= max(1, LABELS_COME * answered.trials)


def _missing(state: RolloutState, judgements: Sequence[Judgement]) -> tuple[str, ...]:
    if state.stage == "waiting":
        return ("a person's approval",)
    rules = state.rules
    needed = {
        "errors": (rules.shadow if state.stage == "shadow" else rules.min_requests, "requests"),
        "wrong": (rules.min_labels, "labels"),
    }
    missing: list[str] = []
    for one in judgements:
        least, what = needed.get(one.comparison.measure, (0, ""))
        if one.challenger.trials < least:
            missing.append(f"{what}: {one.challenger.trials:,} of {least:,}")
        elif one.comparison.required and one.verdict == "open":
            missing.append(f"{in_words(one)}: {100 * max(0.0, one.fine):.0f} % of the evidence")
    return tuple(missing)


def _onward(state: RolloutState, outlook: Outlook) -> Decision:
    """The next canary step, the wait for approval, or all traffic."""
    rules = state.rules
    step = 0 if state.stage == "shadow" else state.step + 1
    shown = "; ".join(in_words(one) for one in outlook.judgements if one.verdict == "fine")
    if step < len(rules.canary):
        return _decided("canary", state, shown, outlook, step, rules.canary[step])
    if rules.approve:
        return _decided("wait", state, shown, outlook, state.step)
    return _decided("promote", state, shown, outlook, step, 1.0)


def _decided(  # noqa: PLR0913, PLR0917 - all that a decision is
    act: Act,
    state: RolloutState,
    why: str,
    outlook: Outlook,
    step: int | None = None,
    share: float = 0.0,
) -> Decision:
    told = {
        "canary": f"version {state.version} gets {share:.3g} of requests",
        "wait": f"version {state.version} waits for approval",
        "promote": f"version {state.version} becomes champion",
        "rollback": f"version {state.version} is taken away",
    }[act].replace(f"{share:.3g} of", f"{share:.0%} of")
    reason = f"{told}: {why}" if why else told
    return Decision(act, state.step if step is None else step, share, reason, outlook.as_json())


def _worse_in_words(one: Judgement) -> str:
    limit = f", more than {one.comparison.margin:.3g} allows" if one.one_armed else ""
    return f"{in_words(one)}{limit}"
