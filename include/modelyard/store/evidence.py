"""What rollouts are decided by: counts of outcomes, unseen answers, and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import batched
from typing import NamedTuple

from pydantic import JsonValue
from sqlalchemy import Connection, select

from modelyard.store.connected import Connected, columns_of
from modelyard.store.records import Label, LabelsSaved, Measure, ShadowRecord, Tally
from modelyard.store.tables import LabelRow, Prediction, ShadowRow, TallyRow

IDS_A_QUERY = 500
COUNTED = ("trials", "hits")
ABOUT = ("model", "version", "answered")
"""What a label's row repeats of its prediction."""
type Row = dict[str, object]


class Answer(NamedTuple):
    """What one version answered to a prediction's row, seen or unseen."""

    version: int
    phase: str
    at: datetime
    outputs: Mapping[str, JsonValue]


type Answers = dict[str, list[Answer]]
"""Prediction to the answers of each version, the seen one first."""
type Counts = Counter[tuple[str, str, int]]
"""(model, phase, version) to how many."""


class EvidenceQueries(Connected):
    """Tallies, shadows and labels."""

    def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """Add counts to those that are there."""
        if tallies:
            with self._writing() as connection:
                self._add_tallies(connection, tallies)

    def tallies(self, model: str, phase: str) -> list[Tally]:
        """Return what was counted in one phase, by version and measure."""
        query = columns_of(TallyRow).where(TallyRow.model == model, TallyRow.phase == phase)
        query = query.order_by(TallyRow.version, TallyRow.measure)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Tally.model_validate(dict(row)) for row in rows]

    def log_shadows(self, records: Sequence[ShadowRecord]) -> None:
        """Keep unseen answers; those that are there are ignored, so a retry is safe."""
        if not records:
            return
        rows = [dict(one) for one in sorted(records, key=lambda one: (one.prediction, one.version))]
        with self._writing() as connection:
            connection.execute(self._insert_new(ShadowRow), rows)

    def shadows(self, model: str, *, last: int | None) -> list[ShadowRecord]:
        """Return the model's `last` unseen answers, newest first."""
        query = columns_of(ShadowRow).where(ShadowRow.model == model)
        query = query.order_by(ShadowRow.at.desc(), ShadowRow.prediction).limit(last)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [ShadowRecord.model_validate(dict(row)) for row in rows]

    def save_labels(self, model: str, labels: Sequence[Label]) -> LabelsSaved:
        """Keep what is true of the model's predictions, and count who was wrong.

        A second label of one prediction and output replaces the first, in the counts too.
        """
        latest = {(label.prediction, label.output): label for label in labels}
        ids = sorted({prediction for prediction, _ in latest})
        with self._writing() as connection:
            self._one_at_a_time(connection, f"labels {model}")
            answers = _answers(connection, model, ids)
            known = [latest[key] for key in sorted(latest) if key[0] in answers]
            before = _labels_of(connection, ids)
            self._keep_labels(connection, model, [_row(label, answers) for label in known])
            self._add_tallies(connection, _recount(model, known, before, answers))
        replaced = sum((label.prediction, label.output) in before for label in known)
        unknown = tuple(one for one in ids if one not in answers)
        return LabelsSaved(saved=len(known) - replaced, replaced=replaced, unknown=unknown)

    def labels(self, model: str, *, last: int | None) -> list[Label]:
        """Return the model's `last` labels, newest first."""
        query = columns_of(LabelRow, without=ABOUT).where(LabelRow.model == model)
        query = query.order_by(LabelRow.at.desc(), LabelRow.prediction).limit(last)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Label.model_validate(dict(row)) for row in rows]

    def _add_tallies(self, connection: Connection, tallies: Sequence[Tally]) -> None:
        if not tallies:
            return
        # One order for all writers, so that two of them cannot wait for each other.
        keys = ("model", "phase", "version", "measure")
        rows = sorted(map(dict, tallies), key=lambda row: tuple(row[key] for key in keys))
        statement = self._insert(TallyRow)
        added = {name: getattr(TallyRow, name) + statement.excluded[name] for name in COUNTED}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=added), rows)

    def _keep_labels(self, connection: Connection, model: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        statement = self._insert(LabelRow)
        changed = {name: statement.excluded[name] for name in ("value", "at", "by", "wrong")}
        statement = statement.on_conflict_do_update(
            index_elements=["prediction", "output"], set_=changed
        )
        connection.execute(statement, [{"model": model, **row} for row in rows])


def is_wrong(predicted: JsonValue, truth: JsonValue) -> bool | None:
    """Whether a predicted label is another than the true one; None for what is no label.

    Labels are compared as text, since a category may be written 7 or "7", a truth true or "True".
    """
    if isinstance(predicted, float) or not isinstance(predicted, str | bool | int):
        return None
    if isinstance(predicted, bool) or str(truth).lower() in {"true", "false"}:
        return str(predicted).lower() != str(truth).lower()
    return str(predicted) != str(truth)


def _answers(connection: Connection, model: str, ids: Iterable[str]) -> Answers:
    """Look up who answered these predictions, seen first."""
    found: Answers = {}
    for some in batched(ids, IDS_A_QUERY):
        seen = select(*(getattr(Prediction, name) for name in ("id", *Answer._fields)))
        seen = seen.where(Prediction.id.in_(some), Prediction.model == model)
        for identity, version, phase, *rest in connection.execute(seen):
            found.setdefault(identity, []).append(Answer(version, phase or "", *rest))
        unseen = select(*(getattr(ShadowRow, name) for name in ("prediction", *Answer._fields)))
        unseen = unseen.where(ShadowRow.prediction.in_(some), ShadowRow.model == model)
        for identity, *rest in connection.execute(unseen):
            if identity in found:
                found[identity].append(Answer(*rest))
    return found


def _labels_of(connection: Connection, ids: Iterable[str]) -> dict[tuple[str, str], JsonValue]:
    found: dict[tuple[str, str], JsonValue] = {}
    for some in batched(ids, IDS_A_QUERY):
        query = select(LabelRow.prediction, LabelRow.output, LabelRow.value)
        for identity, output, value in connection.execute(
            query.where(LabelRow.prediction.in_(some))
        ):
            found[identity, output] = value
    return found


def _row(label: Label, answers: Answers) -> Row:
    """Write a label with the judgement on the answer that was seen, and when that was."""
    seen = answers[label.prediction][0]
    judged = is_wrong(seen.outputs.get(label.output), label.value)
    return {**dict(label), "wrong": judged, "version": seen.version, "answered": seen.at}


def _recount(
    model: str,
    labels: Iterable[Label],
    before: Mapping[tuple[str, str], JsonValue],
    answers: Answers,
) -> list[Tally]:
    """Count the new labels, and take back what replaced ones had counted."""
    trials: Counts = Counter()
    hits: Counts = Counter()
    for label in labels:
        key = (label.prediction, label.output)
        for answer in answers[label.prediction]:
            place = (model, answer.phase, answer.version)
            predicted = answer.outputs.get(label.output)
            _count(trials, hits, place, is_wrong(predicted, label.value), 1)
            if key in before:
                _count(trials, hits, place, is_wrong(predicted, before[key]), -1)
    measure: Measure = "wrong"
    return [
        Tally(
            model=model, phase=phase, version=version, measure=measure, trials=n, hits=hits[place]
        )
        for place in trials
        for _, phase, version in [place]
        if (n := trials[place]) or hits[place]
    ]


def _count(
    trials: Counts, hits: Counts, place: tuple[str, str, int], wrong: bool | None, by: int
) -> None:
    if wrong is not None:
        trials[place] += by
        hits[place] += by * int(wrong)
