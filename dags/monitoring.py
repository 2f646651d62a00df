"""Watch every served model, tell people what is wrong, and have retrained what should be.

- **watch** compares the last predictions of each served version with the data that it was trained
  on, and its answers with the labels that came, in the windows of its spec; see the reports under
  Modelyard in the menu. Drift is an event of the asset `drift_NAME`.
- **deliver** sends what changed of alerts to the addresses of `MODELYARD_NOTIFY`.
- **retrain** asks for a retraining where an alert is bad enough (`monitor.retrain_on`): an event of
  the asset `retrain_NAME`, on which `train_NAME` is scheduled.

What has nothing to do is skipped. `MODELYARD_WATCH_SCHEDULE` says how often, each hour by default.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, TriggerRule, task
from modelyard_dags import watching
from modelyard_dags.operators import RETRIES
from modelyard_dags.training import BEGINNING

from modelyard.settings import get_settings

PARAMS = {
    "model": Param(
        default=None,
        type=["null", "string"],
        title="Model",
        description="Only this one. Empty: every served model.",
    ),
    "window": Param(
        default=None,
        type=["null", "string"],
        pattern=r"^([0-9]+|all|[1-9][0-9]{0,5}[mhd])$",
        title="Window",
        description="Only this one: a number of predictions, all, or a time such as 24h. Empty: those of each spec.",
    ),
}

with DAG(
    dag_id="monitoring",
    description="Watch every served model, and have it retrained where its spec says so.",
    doc_md=__doc__,
    schedule=watching.schedule_of(get_settings().watch_schedule),
    start_date=BEGINNING,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["modelyard", "operations"],
    default_args=RETRIES,
) as dag:
    # A model that could not be watched keeps neither news nor retrainings of others back.
    late = {"trigger_rule": TriggerRule.ALL_DONE}
    watch = task(task_id=watching.WATCH, outlets=[watching.DRIFT])(watching.watch)()
    deliver = task(task_id=watching.DELIVER, **late)(watching.deliver)()
    retrain = task(task_id=watching.RETRAINING, outlets=[watching.RETRAIN], **late)(
        watching.retrain
    )()
    watch >> [deliver, retrain]
