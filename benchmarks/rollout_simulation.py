"""How often a rollout decides wrongly, and how many requests it needs, by simulation.

Every simulated rollout is looked at after every request. Run it so:

    .venv/bin/python benchmarks/rollout_simulation.py [--rollouts 2000] [--requests 10000] [--whole 200] [--json]

A path is tested exactly as the product tests it (`modelyard.rollout.sequential`). To look at every
request of thousands of rollouts, upper limits of the evidence are computed first for all of them at
once: the evidence is the least over an unknown rate, so its value at any one rate is such a limit.
Only where that reaches what is needed is the least itself computed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from modelyard.rollout.decide import TESTS_A_PHASE
from modelyard.rollout.sequential import (
    HALF,
    REFERENCE_STAKE,
    STAKE,
    Count,
    log_e_above,
    log_e_better,
    log_e_worse,
)

type Ints = NDArray[np.int64]
type Floats = NDArray[np.float64]

ALPHA = 0.05
RATES = (0.0, 0.001, 0.01, 0.1)
SHARES = (0.05, 0.25, 0.5)
FIRST_LOOK = 200
"""So many requests are looked at together at first, then ever more: what has ended is left out."""
NEVER = -1
COARSE, FINE = np.linspace(0, 1, 5), np.linspace(-0.6, 1.6, 45)
"""Where limits are taken, as a part of the way between two likely rates."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Counts of both arms after each request: arrays of rollouts times requests."""

    trials: tuple[Ints, Ints]
    hits: tuple[Ints, Ints]

    def part(self, rollouts: Ints, requests: slice) -> Paths:
        """These rollouts' counts after these requests."""
        n, m, h, k = (arm[rollouts, requests] for arm in (*self.trials, *self.hits))
        return Paths((n, m), (h, k))

    def at(self, rollout: int, request: int) -> tuple[Count, Count]:
        """The counts of champion and challenger in one rollout after a request."""
        champion, challenger = (
            Count(int(n[rollout, request]), int(h[rollout, request]))
            for n, h in zip(self.trials, self.hits, strict=True)
        )
        return champion, challenger


def paths(  # noqa: PLR0913 - what a simulation is
    random: np.random.Generator,
    rollouts: int,
    requests: int,
    rates: tuple[float, float],
    share: float,
    *,
    paired: bool = False,
) -> Paths:
    """Simulate requests: each goes to the challenger by chance, or to both if paired."""
    size = (rollouts, requests)
    mine = np.ones(size, bool) if paired else random.random(size) < share
    others = np.ones(size, bool) if paired else ~mine
    # One draw for both arms: what is hard for the one is hard for the other.
    fate = random.random(size)
    hits = tuple(
        np.cumsum(arm & (fate < rate), axis=1, dtype=np.int64)
        for arm, rate in zip((others, mine), rates, strict=True)
    )
    trials = tuple(np.cumsum(arm, axis=1, dtype=np.int64) for arm in (others, mine))
    return Paths((trials[0], trials[1]), (hits[0], hits[1]))


def first_crossing(
    found: Paths, needed: float, margin: float | None, *, paired: bool = False
) -> Ints:
    """After which request each rollout's evidence first suffices, counted from 0; NEVER if it does not.

    With a margin the evidence is that the challenger is not worse by it; without, that it is worse.
    """
    rollouts, requests = found.trials[0].shape
    crossing = np.full(rollouts, NEVER)
    first, last = 0, min(FIRST_LOOK, requests)
    while first < requests:
        open_ones = np.flatnonzero(crossing == NEVER)
        part = found.part(open_ones, slice(first, last))
        candidates = _candidates(part, needed, margin, paired=paired)
        for row, request in zip(*candidates, strict=True):
            rollout = open_ones[row]
            if crossing[rollout] != NEVER:
                continue
            arms = part.at(int(row), int(request))
            if margin is None:
                evidence = log_e_worse(*arms, paired=paired)
            else:
                evidence = log_e_better(*arms, margin, paired=paired)
            if evidence >= needed:
                crossing[rollout] = first + request
        first, last = last, min(last + last // 4, requests)
    return crossing


def _candidates(
    found: Paths, needed: float, margin: float | None, *, paired: bool
) -> tuple[Ints, Ints]:
    """Where the evidence may suffice: (rollouts, requests), in order."""
    (n, m), (h, k), shift = found.trials, found.hits, margin or 0.0
    rollouts, requests = np.nonzero(n >= 0)
    rough = (
        (h + np.clip(k - shift * m, 0, None) + 0.01) / (n + m + 0.02),
        (h + 0.01) / (n + 0.02),
    )
    for rate in rough:
        here = rollouts, requests
        limit = _value(found, here, rate[here], margin, paired=paired, exact=False)
        rollouts, requests = rollouts[limit >= needed], requests[limit >= needed]
    for part in (*COARSE, *FINE):
        here = rollouts, requests
        rate = part * rough[0][here] + (1 - part) * rough[1][here]
        limit = _value(found, here, rate, margin, paired=paired, exact=True)
        rollouts, requests = rollouts[limit >= needed], requests[limit >= needed]
    return rollouts, requests


def _value(  # noqa: PLR0913 - one value of a function of six arguments
    found: Paths,
    here: tuple[Ints, Ints],
    rate: Floats,
    margin: float | None,
    *,
    paired: bool,
    exact: bool,
) -> Floats:
    """The evidence at one rate, or with `exact` false what is above it and cheaper."""
    (n, m), (h, k), shift = found.trials, found.hits, margin or 0.0
    n, m, h, k = n[here], m[here], h[here], k[here]
    rate = np.clip(rate, 1e-9, 1 - shift)
    log_e = log_e_above if exact else _log_e
    if margin is None:
        suspect, other = log_e(rate, m, k, STAKE), log_e(1 - rate, n, n - h, REFERENCE_STAKE)
    else:
        suspect = log_e(1 - rate - shift, m, m - k, STAKE)
        other = log_e(rate, n, h, REFERENCE_STAKE)
    value = np.logaddexp(suspect, other) - np.log(2) if paired else suspect + other
    return np.asarray(value + 1e-9, dtype=float)


def _log_e(rate: Floats, trials: Ints, hits: Ints, stake: float) -> Floats:
    """Above `log_e_above` always, and cheap: without the factor below 1 that needs a beta function."""
    if not trials.size:
        return np.empty(0)
    table = gammaln(np.arange(int(trials.max()) + 2) + HALF)
    facts = gammaln(np.arange(int(trials.max()) + 2) + 1.0)
    rate = np.clip(rate, 1e-12, 1 - 1e-12)
    mixed = table[hits] + table[trials - hits] - facts[trials]
    prior = np.log(np.pi * (1 - 2 / np.pi * np.arcsin(np.sqrt(rate))))
    likelihood = hits * np.log(rate) + (trials - hits) * np.log1p(-rate)
    evidence = np.logaddexp(np.log1p(-stake), np.log(stake) + mixed - prior - likelihood)
    return np.asarray(evidence + 1e-9, dtype=float)


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """How often a test was wrong in one setting."""

    share: float
    rate: float
    rollouts: int
    false_rollbacks: float
    false_promotions: float

    @property
    def uncertainty(self) -> float:
        """The Monte Carlo standard error of the larger of both."""
        p = max(self.false_rollbacks, self.false_promotions, 1 / self.rollouts)
        return float(np.sqrt(p * (1 - p) / self.rollouts))


def error_rate(  # noqa: PLR0913 - what a simulation is
    random: np.random.Generator,
    share: float,
    rate: float,
    *,
    margin: float = 0.02,
    rollouts: int = 2_000,
    requests: int = 10_000,
    paired: bool = False,
) -> ErrorRate:
    """Count false alarms where both arms are equal, and false passes where one is worse by the margin."""
    needed = float(np.log(1 / ALPHA))
    wrong = [0, 0]
    for size in _blocks(rollouts, requests):
        same = paths(random, size, requests, (rate, rate), share, paired=paired)
        wrong[0] += int((first_crossing(same, needed, None, paired=paired) >= 0).sum())
        worse = paths(random, size, requests, (rate, rate + margin), share, paired=paired)
        wrong[1] += int((first_crossing(worse, needed, margin, paired=paired) >= 0).sum())
    return ErrorRate(share, rate, rollouts, wrong[0] / rollouts, wrong[1] / rollouts)


@dataclass(frozen=True, slots=True)
class Ends:
    """How whole rollouts end, as shares of all of them."""

    setting: str
    rollouts: int
    promoted: float
    rolled_back: float
    undecided: float
    requests: float
    """The median of requests until the end."""


MEASURES = {"errors": (0.01, 0.02), "slow": (0.05, 0.1), "wrong": (0.1, 0.05)}
"""Base rate and margin of each."""
STEPS = (0.05, 0.25, 0.5)


def whole_rollouts(
    random: np.random.Generator,
    worse: dict[str, float],
    *,
    rollouts: int = 1_000,
    requests: int = 30_000,
) -> Ends:
    """Follow rollouts through all steps, looking after every request; `worse` is added to rates.

    A step is passed when each measure has been shown fine once: the product wants them fine at the
    same moment, and so promotes less.
    """
    alpha_worse = ALPHA / len(STEPS) / TESTS_A_PHASE
    alive, used = np.ones(rollouts, bool), np.zeros(rollouts)
    back = np.zeros(rollouts, bool)
    for share in STEPS:
        alarm = np.full(rollouts, requests)
        passed = np.zeros(rollouts, int)
        for measure, (rate, margin) in MEASURES.items():
            rates = (rate, rate + worse.get(measure, 0.0))
            first = 0
            for size in _blocks(rollouts, requests):
                part = slice(first, first + size)
                first += size
                found = paths(random, size, requests, rates, share)
                alarmed = first_crossing(found, float(np.log(1 / alpha_worse)), None)
                fine = first_crossing(found, float(np.log(1 / ALPHA)), margin)
                alarm[part] = np.minimum(alarm[part], np.where(alarmed < 0, requests, alarmed))
                passed[part] = np.maximum(passed[part], np.where(fine < 0, requests, fine))
        back |= alive & (alarm <= passed) & (alarm < requests)
        used += alive * (np.minimum(alarm, passed) + 1)
        alive &= passed < alarm
    setting = ", ".join(f"{name} +{by:g}" for name, by in worse.items()) or "as good"
    shares = [float(which.mean()) for which in (alive, back, ~alive & ~back)]
    return Ends(setting, rollouts, *shares, requests=float(np.median(used)))


@dataclass(frozen=True, slots=True)
class Power:
    """How many requests it takes to see that a challenger is worse."""

    share: float
    champion: float
    challenger: float
    median: float
    most: float
    """So many are enough in 90 % of rollouts; infinite if they are not."""


def power(  # noqa: PLR0913 - what a simulation is
    random: np.random.Generator,
    share: float,
    rates: tuple[float, float],
    *,
    rollouts: int = 200,
    requests: int = 40_000,
    tests: int = 9,
) -> Power:
    """Count the requests, the challenger's and the champion's together, until a roll-back."""
    needed = float(np.log(tests / ALPHA))
    seen: list[float] = []
    for size in _blocks(rollouts, requests):
        crossing = first_crossing(paths(random, size, requests, rates, share), needed, None)
        seen += [np.inf if one == NEVER else float(one + 1) for one in crossing]
    median, most = np.quantile(seen, [0.5, 0.9], method="higher")
    return Power(share, *rates, float(median), float(most))


def _blocks(rollouts: int, requests: int) -> list[int]:
    """Divide rollouts so that a block's arrays stay below 50 MB each."""
    size = max(1, min(rollouts, 6_000_000 // requests))
    return [min(size, rollouts - first) for first in range(0, rollouts, size)]


POWER_RATES = ((0.0, 1.0), (0.0, 0.2), (0.001, 0.02), (0.01, 0.05), (0.1, 0.15), (0.1, 0.2))
HARMS = ({}, {"errors": 0.02}, {"slow": 0.1}, {"wrong": 0.05}, {"errors": 0.04}, {"wrong": 0.1})


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rollouts", type=int, default=2_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--whole", type=int, default=0, help="whole rollouts, slow: so many")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    random, began = np.random.default_rng(2026), time.monotonic()
    sizes = {"rollouts": chosen.rollouts, "requests": chosen.requests}
    errors = [error_rate(random, share, rate, **sizes) for share in SHARES for rate in RATES]
    shadows = [error_rate(random, 1.0, rate, paired=True, **sizes) for rate in RATES]
    harms = HARMS if chosen.whole else ()
    ends = [whole_rollouts(random, worse, rollouts=chosen.whole) for worse in harms]
    powers = [power(random, share, rates) for share in SHARES for rates in POWER_RATES]
    if chosen.json:
        every = {"errors": errors, "shadows": shadows, "ends": ends, "power": powers}
        told = {name: [asdict(one) for one in found] for name, found in every.items()}
        json.dump(told, sys.stdout, indent=1)
        return
    _tell_errors(f"alpha {ALPHA:g}, {sizes['requests']:,} requests", errors)
    _tell_errors("shadow: both arms answer the same requests", shadows)
    _tell_ends(ends)
    _tell_power(powers)
    print(f"{time.monotonic() - began:.0f} s")


def _tell_errors(title: str, errors: list[ErrorRate]) -> None:
    print(f"{title}\n\n| share | base rate | false roll-backs | false promotions | +- |")
    print("|---|---|---|---|---|")
    for one in errors:
        print(
            f"| {one.share:.0%} | {one.rate:.1%} | {one.false_rollbacks:.2%} "
            f"| {one.false_promotions:.2%} | {one.uncertainty:.2%} |"
        )
    print()


def _tell_ends(ends: list[Ends]) -> None:
    print("| challenger | promoted | rolled back | undecided | median requests |")
    print("|---|---|---|---|---|")
    for one in ends:
        print(
            f"| {one.setting} | {one.promoted:.1%} | {one.rolled_back:.1%} "
            f"| {one.undecided:.1%} | {one.requests:,.0f} |"
        )
    print()


def _tell_power(powers: list[Power]) -> None:
    print("| share | champion | challenger | median requests | 90 % |\n|---|---|---|---|---|")
    for one in powers:
        print(
            f"| {one.share:.0%} | {one.champion:.1%} | {one.challenger:.0%} "
            f"| {one.median:,.0f} | {one.most:,.0f} |"
        )
    print()


if __name__ == "__main__":
    main()
