"""The one way to Modelyard's database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import batched

from sqlalchemy import Connection, insert

from modelyard.store import migrate
from modelyard.store.api_keys import KeyQueries
from modelyard.store.connected import columns_of
from modelyard.store.engine import make_engine, parse_url
from modelyard.store.evidence import EvidenceQueries
from modelyard.store.records import DriftCheck, PredictionRecord, Verdict
from modelyard.store.rollouts import RolloutQueries
from modelyard.store.tables import DriftCheckRow, Prediction, VerdictRow

BATCH = 5_000


def open_store(url: str) -> Store:
    """Open Modelyard's database, bringing it to the newest revision first; safe in parallel."""
    engine = make_engine(parse_url(url))
    try:
        migrate.upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


class Store(RolloutQueries, EvidenceQueries, KeyQueries):
    """Queries and writes; each method is one transaction, and safe from any thread."""

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
        query = columns_of(Prediction).where(Prediction.model == model)
        if version is not None:
            query = query.where(Prediction.version == version)
        query = query.order_by(Prediction.at.desc(), Prediction.id.desc()).limit(last)
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=size).execute(query).mappings()
            for batch in rows.partitions(size):
                yield [PredictionRecord.model_validate(dict(row)) for row in batch]

    def save_verdicts(self, check: DriftCheck) -> None:
        """Keep a comparison with the verdict of each column; one that is there is left alone."""
        row = {key: value for key, value in check if key != "verdicts"}
        verdicts = [
            {"check_id": check.id, "position": position, **dict(verdict)}
            for position, verdict in enumerate(check.verdicts)
        ]
        with self._writing() as connection:
            if self._is_new(connection, DriftCheckRow, row) and verdicts:
                connection.execute(insert(VerdictRow), verdicts)

    def verdicts(self, model: str, limit: int = 100) -> list[DriftCheck]:
        """Return the model's last comparisons with their verdicts, newest first."""
        query = columns_of(DriftCheckRow).where(DriftCheckRow.model == model)
        query = query.order_by(DriftCheckRow.at.desc(), DriftCheckRow.id).limit(limit)
        with self._reading() as connection:
            checks = connection.execute(query).mappings().all()
            columns = self._verdicts_of(connection, [check["id"] for check in checks])
        return [
            DriftCheck.model_validate({**check, "verdicts": columns.get(check["id"], ())})
            for check in checks
        ]

    @staticmethod
    def _verdicts_of(connection: Connection, checks: Sequence[str]) -> dict[str, list[Verdict]]:
        found: dict[str, list[Verdict]] = {}
        columns = columns_of(VerdictRow, without=("position",)).order_by(VerdictRow.position)
        for some in batched(checks, 500):
            query = columns.where(VerdictRow.check_id.in_(some))
            for row in connection.execute(query).mappings():
                values = dict(row)
                found.setdefault(values.pop("check_id"), []).append(Verdict.model_validate(values))
        return found
