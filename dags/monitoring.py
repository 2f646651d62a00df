"""Watch every served model for drift.

Each hour Airflow compares the last predictions of each served model with the data that it was
trained on, and writes a report; see it under Modelyard in the menu. Drift is an event of the asset
`drift_NAME`, which other DAGs can be scheduled on. A model with too few predictions is skipped.
The DAG is paused until somebody wants it.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task
from modelyard_dags.operations import DRIFT, check_drift, served_models
from modelyard_dags.operators import RETRIES
from modelyard_dags.training import BEGINNING

WINDOW = Param(
    default=1000,
    type="integer",
    minimum=50,
    title="Window",
    description="How many of the last predictions are compared.",
)

with DAG(
    dag_id="monitoring",
    description="Watch every served model for drift.",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=BEGINNING,
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    params={"window": WINDOW},
    tags=["modelyard", "operations"],
    default_args=RETRIES,
) as dag:
    served = task(task_id="served_models")(served_models)()
    check = task(task_id="check_drift", outlets=[DRIFT], max_active_tis_per_dag=1)(check_drift)
    check.expand(model=served)
