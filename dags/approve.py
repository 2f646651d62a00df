"""Ask a person whether a challenger may have all traffic.

The steward starts a run for each rollout that waits for approval (`serve.rollout.approve` of the
spec). The task `approval` shows the metrics of both versions and what was counted since the last
step; answer it under *Required Actions*. With a share below 1 the challenger gets one more canary
step, and waits again after it. The answer stands in the model's ledger, with who gave it.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, task
from modelyard_dags.approval import OPTIONS, SHARE, answer, request
from modelyard_dags.operations import ENDPOINT
from modelyard_dags.operators import RETRIES
from modelyard_dags.training import BEGINNING

PARAMS = {
    "model": Param(
        default="", type="string", title="Model", description="The model whose challenger waits."
    ),
    "phase": Param(
        default=None,
        type=["null", "string"],
        title="Phase",
        description="The ledger row since which it waits; empty: whatever waits now.",
    ),
}

with DAG(
    dag_id="approve",
    description="Ask whether a challenger may have all traffic.",
    doc_md=__doc__,
    schedule=None,
    start_date=BEGINNING,
    catchup=False,
    params=PARAMS,
    tags=["modelyard", "operations"],
    default_args=RETRIES,
) as dag:
    asked = task(task_id="evidence")(request)()
    approval = HITLOperator(
        task_id="approval",
        subject="{{ ti.xcom_pull(task_ids='evidence')['subject'] }}",
        body="{{ ti.xcom_pull(task_ids='evidence')['body'] }}",
        options=[*OPTIONS],
        params={
            SHARE: Param(
                default=1.0,
                type="number",
                exclusiveMinimum=0,
                maximum=1,
                title="Share of the traffic",
                description="1: all of it, as champion. Less: one more canary step.",
            )
        },
    )
    asked >> approval >> task(task_id="answer", outlets=[ENDPOINT])(answer)()
