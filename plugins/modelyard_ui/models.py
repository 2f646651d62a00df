"""The page of models and traffic: variants, the rollout under way, the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from modelyard.rollout.attend import outlook_of
from modelyard.rollout.decide import Outlook
from modelyard.rollout.evidence import IN_WORDS, Judgement, in_words
from modelyard.rollout.under_way import rules_of
from modelyard.store.database import Store
from modelyard.store.records import LedgerEntry, RolloutRecord, Variant

MOST_MOVES: Final = 20


@dataclass(frozen=True, slots=True)
class Share:
    """One deployed version and its share of the traffic, 0 to 1."""

    version: int
    role: str
    share: float
    shadow: float
    experiment: str | None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One served model."""

    name: str
    shares: tuple[Share, ...]
    open_alerts: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measure of a rollout says by now, for a row and as a sentence."""

    name: str
    champion: str
    challenger: str
    bounds: str
    margin: str
    verdict: str
    sentence: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """The rollout that is under way."""

    record: RolloutRecord
    phase: str
    measures: tuple[Measured, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One row of the ledger."""

    entry: LedgerEntry
    after: str
    evidence: tuple[str, ...]


def models(store: Store) -> list[ModelRow]:
    """List every served model with its variants."""
    by_name: dict[str, list[Variant]] = {}
    for variant in store.variants():
        by_name.setdefault(variant.model, []).append(variant)
    counts: dict[str, int] = {}
    for alert in store.alerts(open_only=True, limit=1000):
        counts[alert.model] = counts.get(alert.model, 0) + 1
    return [
        ModelRow(name, shares(variants), counts.get(name, 0))
        for name, variants in sorted(by_name.items())
    ]


def shares(variants: Sequence[Variant]) -> tuple[Share, ...]:
    """Divide the weights by their sum, the largest first."""
    total = sum(variant.weight for variant in variants) or 1.0
    return tuple(
        Share(one.version, one.role, one.weight / total, one.shadow, one.experiment)
        for one in sorted(variants, key=lambda one: (-one.weight, one.role, -one.version))
    )


def rollout(store: Store, model: str) -> RolloutView | None:
    """Return the rollout under way with what its evidence says; None if there is none."""
    record = store.rollout(model)
    outlook = None if record is None else outlook_of(store, record)
    if record is None or outlook is None:
        return None
    measures = tuple(_measured(one, outlook) for one in outlook.judgements)
    return RolloutView(record, _phase(record), measures, outlook.missing)


def _phase(record: RolloutRecord) -> str:
    rules = rules_of(record).rollout
    if record.status == "shadow":
        return f"gets copies of {rules.shadow_share:.0%} of requests; nobody sees its answers"
    if record.status == "waiting":
        return "waits for a person's approval"
    steps = len(rules.canary)
    return f"canary step {record.step + 1} of {max(steps, record.step + 1)}"


def _measured(one: Judgement, outlook: Outlook) -> Measured:
    low, high = one.bounds(outlook.alpha_worse, outlook.alpha_fine)
    counts = [
        "none counted" if count.rate is None else f"{count.hits:,} of {count.trials:,}"
        for count in (one.champion, one.challenger)
    ]
    margin = f"{100 * one.comparison.margin:.3g}" if one.comparison.decisive else "-"
    return Measured(
        name=IN_WORDS[one.comparison.measure],
        champion="-" if one.one_armed else counts[0],
        challenger=counts[1],
        bounds="-" if one.challenger.rate is None else f"{100 * low:+.2f} to {100 * high:+.2f}",
        margin=margin,
        verdict=one.verdict,
        sentence=_sentence(one, low, high),
    )


def _sentence(one: Judgement, low: float, high: float) -> str:
    said = {
        "worse": "it is shown to be worse",
        "fine": "it is shown to be no worse than the margin",
        "open": "nothing is shown yet",
        "reported": "told, and decides nothing",
    }[one.verdict]
    if one.challenger.rate is None:
        return f"{in_words(one)}: {said}."
    what = "the share" if one.one_armed else "the difference"
    lies = f"{what} lies between {100 * low:.2f} and {100 * high:.2f} points"
    limit = f", {100 * one.comparison.margin:.3g} are allowed" if one.comparison.decisive else ""
    return f"{in_words(one)}; {lies}{limit}: {said}."


def ledger(store: Store, model: str) -> list[MoveRow]:
    """List the model's last moves, the newest first."""
    entries = store.ledger(model, limit=MOST_MOVES)
    return [MoveRow(entry, _spelled(entry.after), (*_evidence(entry),)) for entry in entries]


def _spelled(weights: Mapping[str, float]) -> str:
    total = sum(weights.values()) or 1.0
    return ", ".join(f"v{version} {weight / total:.0%}" for version, weight in weights.items())


def _evidence(entry: LedgerEntry) -> Iterable[str]:
    measures = entry.evidence.get("measures")
    for name, found in (measures if isinstance(measures, dict) else {}).items():
        if isinstance(found, dict):
            told = f"{_words(name)}: {_count(found.get('challenger'))}"
            if found.get("champion") is not None:
                told += f", the champion's {_count(found.get('champion'))}"
            yield f"{told}; from {_points(found.get('low'))} to {_points(found.get('high'))} points"


def _words(name: str) -> str:
    return next((words for key, words in IN_WORDS.items() if key == name), name)


def _count(found: JsonValue) -> str:
    if not isinstance(found, dict) or not found.get("trials"):
        return "none counted"
    return f"{found.get('hits')} of {found['trials']}"


def _points(value: JsonValue) -> str:
    return f"{100 * value:.2f}" if isinstance(value, int | float) else "?"
