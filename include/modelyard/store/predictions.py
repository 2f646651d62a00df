"""Logged predictions: written in batches, read as records or as plain columns of a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import batched, groupby
from operator import itemgetter
from typing import Any, NamedTuple

from pydantic import JsonValue
from sqlalchemy import Select, func, select

from modelyard.store.connected import Connected, columns_of
from modelyard.store.records import PredictionRecord
from modelyard.store.tables import LabelRow, Prediction

BATCH = 5_000


class Seen(NamedTuple):
    """What watching reads of a prediction: unchecked, for a window has thousands."""

    id: str
    at: datetime
    inputs: dict[str, JsonValue]
    outputs: dict[str, JsonValue]
    probability: dict[str, float]
    embedding: list[float] | None


class Labelled(NamedTuple):
    """A prediction and what turned out to be true of it."""

    id: str
    at: datetime
    inputs: dict[str, JsonValue]
    outputs: dict[str, JsonValue]
    probability: dict[str, float]
    raw: dict[str, JsonValue] | None
    truth: dict[str, JsonValue]


class Span(NamedTuple):
    """A stretch of predictions: the last so many, or those of a time, or all."""

    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class PredictionQueries(Connected):
    """Predictions."""

    def log_predictions(self, records: Sequence[PredictionRecord]) -> None:
        """Keep predictions; ids that are already there are ignored, so a retry is safe."""
        if not records:
            return
        # One order for all writers, so that two batches with common ids cannot deadlock.
        rows = [dict(record) for record in sorted(records, key=lambda record: record.id)]
        with self._writing() as connection:
            connection.execute(self._insert_new(Prediction), rows)

    def prediction(self, prediction_id: str) -> PredictionRecord | None:
        """Return one prediction, or None."""
        query = columns_of(Prediction).where(Prediction.id == prediction_id)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else PredictionRecord.model_validate(dict(row))

    def predictions(
        self, model: str, *, last: int | None, version: int | None = None
    ) -> list[PredictionRecord]:
        """Return the model's `last` predictions, or all, newest first."""
        return [
            record
            for batch in self.prediction_batches(model, last=last, version=version)
            for record in batch
        ]

    def prediction_batches(
        self, model: str, *, last: int | None, version: int | None = None, size: int = BATCH
    ) -> Iterator[list[PredictionRecord]]:
        """Yield the same as `predictions`, in pieces of `size`, so that memory stays flat."""
        query = _of(columns_of(Prediction), model, version, Span(last))
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=size).execute(query).mappings()
            for batch in rows.partitions(size):
                yield [PredictionRecord.model_validate(dict(row)) for row in batch]

    def seen(
        self, model: str, version: int, span: Span, *, size: int = BATCH
    ) -> Iterator[list[Seen]]:
        """Yield what watching needs of a stretch of predictions, newest first, in pieces."""
        names = [getattr(Prediction, name) for name in Seen._fields]
        query = _of(select(*names), model, version, span)
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=size).execute(query)
            for batch in rows.partitions(size):
                yield [Seen(*row) for row in batch]

    def labelled(
        self, model: str, version: int, span: Span, *, size: int = BATCH
    ) -> Iterator[list[Labelled]]:
        """Yield the predictions of a stretch that have labels, newest first, in pieces of `size`.

        `span.last` counts labelled predictions: labels come late, and the last ones have none.
        All labels of a prediction are in one piece.
        """
        query = _labelled(model, version, span)
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=size).execute(query)
            for batch in batched(_by_prediction(rows), size):
                yield list(batch)

    def count_predictions(self, model: str, version: int, span: Span) -> int:
        """Count the predictions of a stretch of time."""
        query = select(func.count()).select_from(Prediction)
        query = query.where(*_where(model, version, span))
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def extent(self, model: str, version: int, span: Span) -> tuple[datetime, datetime] | None:
        """Return when the first and the last prediction of a stretch of time were; None if none."""
        query = select(func.min(Prediction.at), func.max(Prediction.at))
        query = query.where(*_where(model, version, span))
        with self._reading() as connection:
            first, last = connection.execute(query).one()
        return None if first is None else (first, last)


def _where(model: str, version: int | None, span: Span) -> list[Any]:
    conditions = [Prediction.model == model]
    if version is not None:
        conditions.append(Prediction.version == version)
    if span.since is not None:
        conditions.append(Prediction.at >= span.since)
    if span.until is not None:
        conditions.append(Prediction.at <= span.until)
    return conditions


def _of(query: Select[Any], model: str, version: int | None, span: Span) -> Select[Any]:
    newest_first = query.where(*_where(model, version, span)).order_by(
        Prediction.at.desc(), Prediction.id.desc()
    )
    return newest_first.limit(span.last)


def _labelled(model: str, version: int, span: Span) -> Select[Any]:
    """Choose labels with their predictions by the labels' own index: labels may be few."""
    about: list[Any] = [LabelRow.model == model, LabelRow.version == version]
    if span.since is not None:
        about.append(LabelRow.answered >= span.since)
    if span.until is not None:
        about.append(LabelRow.answered <= span.until)
    newest_first = (LabelRow.answered.desc(), LabelRow.prediction.desc())
    fields = [getattr(Prediction, name) for name in Labelled._fields[:-1]]
    query: Select[Any] = select(*fields, LabelRow.output, LabelRow.value)
    query = query.join_from(LabelRow, Prediction, Prediction.id == LabelRow.prediction)
    if span.last is not None:
        chosen = select(LabelRow.answered, LabelRow.prediction).distinct().where(*about)
        chosen = chosen.order_by(*newest_first).limit(span.last)
        about = [LabelRow.prediction.in_(select(chosen.subquery().c.prediction))]
    return query.where(*about).order_by(*newest_first)


def _by_prediction(rows: Iterable[Any]) -> Iterator[Labelled]:
    """Gather the labels of one prediction's outputs; they come one after the other."""
    for _, group in groupby(rows, key=itemgetter(0)):
        found = list(group)
        truth = {output: value for *_, output, value in found}
        yield Labelled._make((*found[0][:-2], truth))
