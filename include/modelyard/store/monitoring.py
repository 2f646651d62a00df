"""What watching found: verdicts on windows, performance, alerts, and retrainings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import batched
from typing import Any

from sqlalchemy import Connection, Select, func, insert, or_, select, update

from modelyard.store.connected import Connected, columns_of
from modelyard.store.monitoring_records import (
    AlertEvent,
    AlertRecord,
    Asked,
    DriftCheck,
    PerformanceCheck,
    RetrainingRecord,
    Verdict,
)
from modelyard.store.monitoring_tables import (
    WAITING,
    AlertEventRow,
    AlertRow,
    DriftCheckRow,
    PerformanceRow,
    RetrainingRow,
    VerdictRow,
)
from modelyard.store.records import now

IDS_A_QUERY = 500

type Changes = tuple[Sequence[AlertRecord], Sequence[AlertEvent]]


class MonitoringQueries(Connected):
    """Verdicts, performance, alerts and retrainings."""

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

    def verdicts(
        self,
        model: str,
        limit: int = 100,
        *,
        version: int | None = None,
        window: str | None = None,
        segment: str | None = None,
    ) -> list[DriftCheck]:
        """Return the model's last comparisons with their verdicts, newest first."""
        query = columns_of(DriftCheckRow).where(DriftCheckRow.model == model)
        wanted = {"version": version, "window": window, "segment": segment}
        query = query.filter_by(**_given(wanted))
        query = query.order_by(DriftCheckRow.at.desc(), DriftCheckRow.id).limit(limit)
        with self._reading() as connection:
            checks = connection.execute(query).mappings().all()
            columns = _verdicts_of(connection, [check["id"] for check in checks])
        return [
            DriftCheck.model_validate({**check, "verdicts": columns.get(check["id"], ())})
            for check in checks
        ]

    def drift_views(self, model: str) -> list[tuple[int, str, str]]:
        """Return each version, window and segment that was compared, the newest version first."""
        chosen = (DriftCheckRow.version, DriftCheckRow.window, DriftCheckRow.segment)
        query = select(*chosen).where(DriftCheckRow.model == model).distinct()
        query = query.order_by(DriftCheckRow.version.desc(), *chosen[1:])
        with self._reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def save_performance(self, check: PerformanceCheck) -> None:
        """Keep how good answers were; a check that is there is left alone."""
        metrics = [metric.model_dump(mode="json") for metric in check.metrics]
        row = {**dict(check), "metrics": metrics}
        with self._writing() as connection:
            connection.execute(self._insert_new(PerformanceRow).values(row))

    def performance(
        self,
        model: str,
        *,
        version: int | None = None,
        window: str | None = None,
        segment: str | None = None,
        limit: int = 100,
    ) -> list[PerformanceCheck]:
        """Return the model's last looks at performance, newest first."""
        query = columns_of(PerformanceRow).where(PerformanceRow.model == model)
        wanted = {"version": version, "window": window, "segment": segment}
        query = query.filter_by(**_given(wanted))
        query = query.order_by(PerformanceRow.at.desc(), PerformanceRow.id).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [PerformanceCheck.model_validate(dict(row)) for row in rows]

    def alerts(
        self, model: str | None = None, *, open_only: bool = False, limit: int = 100
    ) -> list[AlertRecord]:
        """Return alerts, open ones first, then the newest first."""
        query = columns_of(AlertRow)
        if model is not None:
            query = query.where(AlertRow.model == model)
        if open_only:
            query = query.where(AlertRow.ended.is_(None))
        query = query.order_by(AlertRow.ended.is_not(None), AlertRow.opened.desc(), AlertRow.id)
        return self._alerts(query.limit(limit))

    def alert(self, identity: str) -> AlertRecord | None:
        """Return one alert, or None."""
        return next(iter(self._alerts(columns_of(AlertRow).where(AlertRow.id == identity))), None)

    def change_alerts(
        self, model: str, decide: Callable[[Sequence[AlertRecord]], Changes]
    ) -> Sequence[AlertEvent]:
        """Write what `decide` makes of the model's open alerts, in one transaction; return the events.

        Nobody else changes this model's alerts between the reading and the writing.
        """
        query = columns_of(AlertRow).where(AlertRow.model == model, AlertRow.ended.is_(None))
        with self._writing() as connection:
            self._one_at_a_time(connection, f"alerts {model}")
            rows = connection.execute(query.order_by(AlertRow.opened)).mappings()
            alerts, events = decide([AlertRecord.model_validate(dict(row)) for row in rows])
            self._write_alerts(connection, alerts, events)
        return events

    def acknowledge(self, identity: str, by: str, comment: str | None = None) -> AlertRecord | None:
        """Write that a person took note of an alert; None if there is no such alert."""
        found = self.alert(identity)
        if found is None:
            return None
        changes = {"acknowledged": now(), "acknowledged_by": by, "comment": comment}
        event = AlertEvent(
            alert=identity, model=found.model, change="acknowledged", level=found.level
        )
        with self._writing() as connection:
            self._one_at_a_time(connection, f"alerts {found.model}")
            connection.execute(update(AlertRow).where(AlertRow.id == identity).values(changes))
            self._write_alerts(connection, (), [event])
        return self.alert(identity)

    def alert_events(
        self, *, alert: str | None = None, waiting: bool = False, limit: int = 1000
    ) -> list[AlertEvent]:
        """Return changes of alerts, oldest first; `waiting`: only those still to be delivered."""
        query = columns_of(AlertEventRow, without=("number",))
        if alert is not None:
            query = query.where(AlertEventRow.alert == alert)
        if waiting:
            query = query.where(WAITING)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(AlertEventRow.number).limit(limit)).mappings()
            return [AlertEvent.model_validate(dict(row)) for row in rows]

    def mark_delivery(
        self, event: str, error: str | None = None, reached: Sequence[str] = ()
    ) -> None:
        """Write that an event was delivered, or why not, and which addresses have it."""
        values: dict[str, Any] = {"tries": AlertEventRow.tries + 1, "error": error}
        values["reached"] = list(reached)
        if error is None:
            values["delivered"] = now()
        with self._writing() as connection:
            statement = update(AlertEventRow).where(AlertEventRow.id == event)
            connection.execute(statement.values(values))

    def give_up_deliveries(self, before: datetime) -> int:
        """Let events that are older than a moment wait no longer; return how many did."""
        statement = update(AlertEventRow).values(deliver=False)
        old = statement.where(
            AlertEventRow.deliver, AlertEventRow.delivered.is_(None), AlertEventRow.at < before
        )
        with self._writing() as connection:
            return int(connection.execute(old).rowcount)

    def ask_retraining(
        self, wanted: RetrainingRecord, *, cooled: datetime, budget: tuple[datetime, int]
    ) -> Asked:
        """Keep a retraining unless its alert had one, or it is too soon, or there were too many.

        `cooled` is the moment since which there may have been none, `budget` the moment since
        which there may have been fewer than so many. Those that failed count too.
        """
        since, most = budget
        with self._writing() as connection:
            self._one_at_a_time(connection, f"retraining {wanted.model}")
            same = select(RetrainingRow.id).where(RetrainingRow.alert == wanted.alert)
            if connection.execute(same).first() is not None:
                return "repeated"
            if _asked_since(connection, wanted.model, cooled):
                return "cooling"
            if _asked_since(connection, wanted.model, since) >= most:
                return "spent"
            connection.execute(insert(RetrainingRow).values(dict(wanted)))
        return "asked"

    def retraining(self, identity: str) -> RetrainingRecord | None:
        """Return one retraining, or None."""
        query = columns_of(RetrainingRow).where(RetrainingRow.id == identity)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else RetrainingRecord.model_validate(dict(row))

    def claim_retraining(self, identity: str, run: str) -> RetrainingRecord | None:
        """Let a run do a retraining that is asked for; None if it is unknown or another's.

        The run that has it already gets it again, so a retry is safe.
        """
        mine = or_(RetrainingRow.status == "asked", RetrainingRow.run == run)
        values = {"status": "running", "run": run, "changed": now()}
        with self._writing() as connection:
            statement = update(RetrainingRow).where(RetrainingRow.id == identity, mine)
            if not connection.execute(statement.values(values)).rowcount:
                return None
        return self.retraining(identity)

    def save_retraining(self, record: RetrainingRecord) -> None:
        """Write a retraining again."""
        values = {name: value for name, value in record if name != "id"}
        with self._writing() as connection:
            statement = update(RetrainingRow).where(RetrainingRow.id == record.id)
            connection.execute(statement.values(values))

    def retrainings(self, model: str | None = None, limit: int = 100) -> list[RetrainingRecord]:
        """Return retrainings, newest first."""
        query = columns_of(RetrainingRow)
        if model is not None:
            query = query.where(RetrainingRow.model == model)
        query = query.order_by(RetrainingRow.asked.desc(), RetrainingRow.id).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [RetrainingRecord.model_validate(dict(row)) for row in rows]

    def _alerts(self, query: Select[Any]) -> list[AlertRecord]:
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [AlertRecord.model_validate(dict(row)) for row in rows]

    def _write_alerts(
        self, connection: Connection, alerts: Iterable[AlertRecord], events: Iterable[AlertEvent]
    ) -> None:
        written = [{**dict(alert), "windows": list(alert.windows)} for alert in alerts]
        if written:
            statement = self._insert(AlertRow)
            new = {name: statement.excluded[name] for name in written[0] if name != "id"}
            statement = statement.on_conflict_do_update(index_elements=["id"], set_=new)
            connection.execute(statement, written)
        rows = [{**dict(event), "reached": list(event.reached)} for event in events]
        if rows:
            connection.execute(self._insert_new(AlertEventRow), rows)


def _given(wanted: dict[str, int | str | None]) -> dict[str, int | str]:
    return {name: value for name, value in wanted.items() if value is not None}


def _verdicts_of(connection: Connection, checks: Sequence[str]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    columns = columns_of(VerdictRow, without=("position",)).order_by(VerdictRow.position)
    for some in batched(checks, IDS_A_QUERY):
        query = columns.where(VerdictRow.check_id.in_(some))
        for row in connection.execute(query).mappings():
            values = dict(row)
            found.setdefault(values.pop("check_id"), []).append(Verdict.model_validate(values))
    return found


def _asked_since(connection: Connection, model: str, moment: datetime) -> int:
    query = select(func.count()).select_from(RetrainingRow)
    query = query.where(RetrainingRow.model == model, RetrainingRow.asked > moment)
    return int(connection.execute(query).scalar_one())
