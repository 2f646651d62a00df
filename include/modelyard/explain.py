"""Where one answer came from: its request, its version, and the data, code and run that made that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelyard import runs
from modelyard.errors import ModelyardError, TrackingError, UsageError
from modelyard.rollout.reigns import reigns
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.store.records import (
    Label,
    LedgerEntry,
    Moment,
    PredictionRecord,
    ShadowRecord,
)
from modelyard.tracking.lineage import Origin, origin_of, pages_of
from modelyard.workspace import Workspace

type RoleThen = Literal["champion", "challenger", "other"]
type FindOrigin = Callable[[str, int], Origin | None]
LONGEST_ID: Final = 255


class UnknownPredictionError(ModelyardError):
    """No prediction of this id was logged."""


class DagRun(BaseModel):
    """The run of a DAG that made a version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dag: str = Field(description="The DAG's id.")
    run: str = Field(description="The id of its run, as Airflow spells it.")


class Explanation(BaseModel):
    """All that is known of one prediction; null is what is not known, and `missing` says why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: str = Field(description="The prediction's id.")
    at: Moment = Field(description="When it was answered.")
    request: str = Field(description="The request that it came with.")
    client: str | None = Field(description="The name of the API key that asked.")
    latency_ms: float = Field(description="Milliseconds in the model, the batch's for each row.")
    input_hash: str | None = Field(
        description="SHA-256 of the logged inputs as JSON with sorted keys and no spaces; null as they are."
    )
    inputs: dict[str, JsonValue] | None = Field(
        description="What was observed of the inputs; null for those who may not see it."
    )
    outputs: dict[str, JsonValue] = Field(description="Output feature to what was predicted.")
    probability: dict[str, float] = Field(description="Output feature to its probability.")
    labels: tuple[Label, ...] = Field(description="What turned out to be true.")
    shadows: tuple[ShadowRecord, ...] = Field(description="What other versions answered unseen.")
    model: str = Field(description="The model's name.")
    version: int = Field(description="The model version that answered.")
    role: RoleThen | None = Field(
        description="What that version was then; null if nothing says so."
    )
    share: float | None = Field(description="Its share of the traffic then.")
    experiment: str | None = Field(description="The A/B experiment that it was part of.")
    fallback_from: int | None = Field(description="The version that was chosen and failed.")
    phase: LedgerEntry | None = Field(description="The ledger row whose shares held then.")
    run: str | None = Field(description="The run that made the version.")
    origin: Origin | None = Field(description="Spec, data, code and weights of the version.")
    retraining: RetrainingRecord | None = Field(
        description="The retraining that the version came of, with the alert that started it."
    )
    dag_run: DagRun | None = Field(description="The run of the DAG that made the version.")
    alerts: tuple[AlertRecord, ...] = Field(description="The version's alerts that held then.")
    links: dict[str, str] = Field(
        description="Web pages: mlflow_run, mlflow_version, dag_run, where their servers are known."
    )
    missing: tuple[str, ...] = Field(description="What is not known, and why.")


def explain(settings: Settings, prediction_id: str) -> Explanation:
    """Gather what database, MLflow and run folder know of a prediction.

    What cannot be reached is told in `missing` and is no error.

    Raises:
        UnknownPredictionError: no prediction of this id was logged.
        StoreError: the database does not answer.
    """
    with open_store(settings.database_url) as store:
        return explained(
            settings, store, prediction_id, lambda name, number: origin_of(settings, name, number)
        )


def explained(
    settings: Settings, store: Store, prediction_id: str, find_origin: FindOrigin
) -> Explanation:
    """Do the same with an open store and another way to MLflow; `find_origin` may raise TrackingError."""
    record = store.prediction(prediction_id) if len(prediction_id) <= LONGEST_ID else None
    if record is None:
        message = f"there is no prediction {prediction_id[:100]!r}"
        hint = "an answer's `id` names one; it is logged within a second"
        raise UnknownPredictionError(message, hint=hint)
    missing: list[str] = []
    ledger = store.ledger_until(record.phase) if record.phase else []
    if not ledger:
        missing.append("role: the prediction names no ledger row that is still there")
    origin = _origin(record, find_origin, missing)
    run = record.run or (origin.run if origin else None) or None
    dag_run = _dag_run(settings, run, missing)
    return Explanation(
        prediction=record.id,
        **_request(record),
        labels=tuple(store.labels_of(record.id)),
        shadows=tuple(store.shadows_of(record.id)),
        role=_role(record, ledger),
        share=ledger[0].after.get(str(record.version), 0.0) if ledger else None,
        phase=ledger[0] if ledger else None,
        run=run,
        origin=origin,
        retraining=store.retraining_of(record.model, record.version),
        dag_run=dag_run,
        alerts=tuple(store.alerts_at(record.model, record.version, record.at)),
        links={
            **({} if origin is None else pages_of(settings, record.model, origin)),
            **_dag_page(settings, dag_run),
        },
        missing=tuple(missing),
    )


def input_hash(inputs: Mapping[str, JsonValue]) -> str:
    """Hash inputs so that equal ones have equal hashes, whatever the order of their names."""
    return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _request(record: PredictionRecord) -> dict[str, object]:
    same = ("at", "request", "client", "latency_ms", "inputs", "outputs", "probability")
    told = ("model", "version", "experiment", "fallback_from")
    return {
        **{name: getattr(record, name) for name in (*same, *told)},
        "input_hash": input_hash(record.inputs),
    }


def _role(record: PredictionRecord, ledger: Sequence[LedgerEntry]) -> RoleThen | None:
    """Read from the ledger who was champion then; others with traffic were on their way to it."""
    if not ledger:
        return None
    share = ledger[0].after.get(str(record.version), 0.0)
    reign = next(iter(reigns(ledger)), None)
    if share == 1 or (reign is not None and reign.version == record.version):
        return "champion"
    return "challenger" if share else "other"


def _origin(record: PredictionRecord, find_origin: FindOrigin, missing: list[str]) -> Origin | None:
    try:
        origin = find_origin(record.model, record.version)
    except TrackingError as error:
        missing.append(f"origin: {error.message}")
        return None
    if origin is None:
        missing.append(f"origin: MLflow has no version {record.version} of {record.model}")
    return origin


def _dag_run(settings: Settings, run: str | None, missing: list[str]) -> DagRun | None:
    """Read from the run's folder which DAG ran it; a run from the command line has none."""
    if not run:
        return None
    try:
        scheduled = runs.load(run, Workspace(settings)).scheduled_as
    except (UsageError, ValueError):
        missing.append(f"dag_run: the folder of run {run} is not in this home folder")
        return None
    dag, _, dag_run = scheduled.partition("/")
    return DagRun(dag=dag, run=dag_run) if dag_run else None


def _dag_page(settings: Settings, found: DagRun | None) -> dict[str, str]:
    if found is None or not settings.airflow_url:
        return {}
    base = settings.airflow_url.rstrip("/")
    return {"dag_run": f"{base}/dags/{quote(found.dag)}/runs/{quote(found.run, safe='')}"}
