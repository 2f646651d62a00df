"""What a rollout is decided by: counts of both versions since the phase began, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Literal

from pydantic import JsonValue

from modelyard.rollout.sequential import (
    Count,
    difference,
    log_e_above,
    log_e_below,
    log_e_better,
    log_e_worse,
    rate_bounds,
)
from modelyard.store.records import Measure, Tally

type Verdict = Literal["worse", "fine", "open", "reported"]
type Counts = Mapping[Measure, Count]

NOTHING = Count()
MEASURES: tuple[Measure, ...] = ("errors", "slow", "wrong", "disagreements")
IN_WORDS: Mapping[Measure, str] = {
    "errors": "failed calls",
    "slow": "slow answers",
    "wrong": "wrong answers",
    "disagreements": "other answers than the champion's",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The counts of one phase."""

    champion: Counts = field(default_factory=dict)
    challenger: Counts = field(default_factory=dict)


def collect(tallies: Iterable[Tally], champion: int | None, challenger: int) -> Evidence:
    """Sort a phase's tallies by the two versions that are compared."""
    sides: dict[int | None, dict[Measure, Count]] = {champion: {}, challenger: {}}
    for tally in tallies:
        if tally.version in sides:
            sides[tally.version][tally.measure] = Count(tally.trials, tally.hits)
    return Evidence(sides[champion], sides[challenger])


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one measure is tested in one phase.

    Args:
        measure: What is counted.
        margin: What the challenger may be worse by; for disagreements what it may differ by.
        paired: Whether both versions answered the same requests.
        required: Whether the step waits until the challenger is shown to be fine.
        decisive: Whether it may decide anything.
        least: So many of the challenger's trials are needed before it decides that it is worse.
    """

    measure: Measure
    margin: float
    paired: bool
    required: bool = True
    decisive: bool = True
    least: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the counts of one measure say by now."""

    comparison: Comparison
    champion: Count
    challenger: Count
    verdict: Verdict
    worse: float
    """The evidence that the challenger is worse, as a part of what is needed, in logarithms."""
    fine: float
    """Likewise, that it is not worse by the margin."""

    @property
    def one_armed(self) -> bool:
        """Whether the champion has no part in it."""
        return self.comparison.measure == "disagreements"

    def bounds(self, alpha_worse: float, alpha_fine: float) -> tuple[float, float]:
        """Bound the difference of the shares, or the share where there is one arm only."""
        if self.one_armed:
            return (
                rate_bounds(self.challenger, alpha_worse)[0],
                rate_bounds(self.challenger, alpha_fine)[1],
            )
        arms, paired = (self.champion, self.challenger), self.comparison.paired
        low = difference(*arms, alpha_worse, paired=paired)[0]
        return low, difference(*arms, alpha_fine, paired=paired)[1]


def judge(
    comparison: Comparison, evidence: Evidence, alpha_worse: float, alpha_fine: float
) -> Judgement:
    """Say whether the challenger is surely worse, surely fine, or neither yet."""
    champion = evidence.champion.get(comparison.measure, NOTHING)
    challenger = evidence.challenger.get(comparison.measure, NOTHING)
    worse, fine = _log_e(comparison, champion, challenger)
    part_worse, part_fine = worse / log(1 / alpha_worse), fine / log(1 / alpha_fine)
    verdict: Verdict = "open"
    if not comparison.decisive:
        verdict = "reported"
    elif part_worse >= 1 and challenger.trials >= comparison.least:
        verdict = "worse"
    elif part_fine >= 1:
        verdict = "fine"
    return Judgement(comparison, champion, challenger, verdict, part_worse, part_fine)


def _log_e(comparison: Comparison, champion: Count, challenger: Count) -> tuple[float, float]:
    if comparison.measure == "disagreements":
        counts = (comparison.margin, challenger.trials, challenger.hits)
        return float(log_e_above(*counts)), float(log_e_below(*counts))
    return (
        log_e_worse(champion, challenger, paired=comparison.paired),
        log_e_better(champion, challenger, comparison.margin, paired=comparison.paired),
    )


def as_json(judgement: Judgement, alpha_worse: float, alpha_fine: float) -> dict[str, JsonValue]:
    """Spell a judgement for the ledger, with the bounds that it was made by."""
    low, high = judgement.bounds(alpha_worse, alpha_fine)
    champion: JsonValue = None
    if not judgement.one_armed:
        champion = _count(judgement.champion)
    return {
        "verdict": judgement.verdict,
        "champion": champion,
        "challenger": _count(judgement.challenger),
        "low": round(low, 5),
        "high": round(high, 5),
        "margin": judgement.comparison.margin,
        "required": judgement.comparison.required,
    }


def _count(count: Count) -> dict[str, JsonValue]:
    return {"trials": count.trials, "hits": count.hits}


def in_words(judgement: Judgement) -> str:
    """Such as: failed calls: 12 of 40 (30 %), the champion's 3 of 760 (0.39 %)."""
    text = f"{IN_WORDS[judgement.comparison.measure]}: {_spelled(judgement.challenger)}"
    if judgement.one_armed:
        return text
    return f"{text}, the champion's {_spelled(judgement.champion)}"


def _spelled(count: Count) -> str:
    share = "" if count.rate is None else f" ({100 * count.rate:.3g} %)"
    return f"{count.hits:,} of {count.trials:,}{share}"
