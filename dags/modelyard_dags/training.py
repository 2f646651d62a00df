"""The DAG of a training: one task a stage, the same for one spec and for any."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow.sdk import DAG, Param, TriggerRule, chain

from modelyard.spec.models import Spec
from modelyard.stages import STAGES
from modelyard_dags import documents, form, retraining
from modelyard_dags.assets import outlets, retrain_asset
from modelyard_dags.catalogue import ANY, Entry
from modelyard_dags.operators import RETRIES, BrokenSpecOperator, StageOperator

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
POOL = "training"
POOLED = frozenset({"tune", "cross_validate", "train", "evaluate"})

ANY_PAGE = """### Train any spec

Choose a spec, and for this run alone another data revision, other values or a fresh start. What is
left as it is stands as the spec says; the run records what was resolved.
"""


def spec_dag(entry: Entry, endpoint: str) -> DAG:
    """Make the DAG of one spec, or one that tells what is wrong with it."""
    if entry.spec is None:
        return _broken_dag(entry)
    spec = entry.spec
    types = sorted({feature.type for feature in spec.inputs})
    dag = DAG(
        dag_id=entry.dag_id,
        description=spec.description or None,
        doc_md=documents.spec_page(spec, entry.path, endpoint),
        params=form.spec_params(spec),
        tags=["modelyard", spec.name, *types],
        schedule=[retrain_asset(spec.name)] if spec.monitor.retrain_on else None,
        start_date=BEGINNING,
        catchup=False,
        max_active_runs=1,
    )
    return _with_stages(dag, spec)


def any_dag(params: dict[str, Param]) -> DAG:
    """Make the DAG that trains whatever its trigger form says."""
    dag = DAG(
        dag_id=ANY,
        description="Train any spec, with another revision or other values.",
        doc_md=ANY_PAGE,
        params=params,
        tags=["modelyard"],
        schedule=None,
        start_date=BEGINNING,
        catchup=False,
    )
    return _with_stages(dag, None)


def _with_stages(dag: DAG, spec: Spec | None) -> DAG:
    """Chain the stages; what the run does without is skipped, and what follows runs all the same."""
    names = [stage for stage in STAGES if spec is None or stage != "tune" or spec.tune]
    tasks = [_task(names, number, spec) for number in range(len(names))]
    # Added late: a task made inside of its DAG copies the whole form, a third of the parse time.
    for task in tasks:
        dag.add_task(task)
    chain(*tasks)
    return dag


def _task(names: Sequence[str], number: int, spec: Spec | None) -> StageOperator:
    stage = names[number]
    return StageOperator(
        stage=stage,
        spec=None if spec is None else spec.name,
        before=names[:number],
        after=names[number + 1 :],
        outlets=outlets(stage, spec),
        pool=POOL if stage in POOLED else "default_pool",
        trigger_rule=TriggerRule.NONE_FAILED,
        on_failure_callback=retraining.failed,
        **RETRIES,
    )


def _broken_dag(entry: Entry) -> DAG:
    error = entry.error or "unknown error"
    with DAG(
        dag_id=entry.dag_id,
        description=error.partition("\n")[0],
        doc_md=documents.broken_page(entry.path, error),
        tags=["modelyard", "invalid-spec"],
        schedule=None,
        start_date=BEGINNING,
        catchup=False,
    ) as dag:
        BrokenSpecOperator(task_id="broken_spec", error=error)
    return dag
