"""Move the traffic of a model by hand.

The same as `modelyard models promote`, `rollback` and `split`, from Airflow's trigger form. Each
move is a row in the model's ledger, with the name of who triggered it.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task
from modelyard_dags.operations import ACTIONS, ENDPOINT, move_traffic
from modelyard_dags.operators import RETRIES
from modelyard_dags.training import BEGINNING

from modelyard.settings import get_settings
from modelyard.spec.load import find_specs

MODELS = sorted({path.stem for path in find_specs(get_settings().specs)})
PARAMS = {
    "model": Param(
        default=MODELS[0] if MODELS else "",
        type="string",
        minLength=1,
        examples=MODELS,
        title="Model",
        description="The model whose traffic is to move.",
    ),
    "action": Param(
        default=ACTIONS[0],
        type="string",
        enum=list(ACTIONS),
        values_display={
            "promote": "promote: all traffic to one version",
            "rollback": "rollback: take the challenger away, or back to the former champion",
            "split": "split: by the weights below",
        },
        title="Action",
    ),
    "version": Param(
        default=None,
        type=["null", "integer"],
        minimum=1,
        title="Version",
        description="For promote: which version. Empty: the challenger.",
    ),
    "weights": Param(
        default={},
        type="object",
        additionalProperties={"type": "number", "minimum": 0},
        title="Weights",
        description='For split: version numbers and their shares, such as {"3": 0.9, "4": 0.1}.',
    ),
}

with DAG(
    dag_id="rollout",
    description="Promote, roll back or split the traffic of a model.",
    doc_md=__doc__,
    schedule=None,
    start_date=BEGINNING,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["modelyard", "operations"],
    default_args=RETRIES,
) as dag:
    task(task_id="move_traffic", outlets=[ENDPOINT])(move_traffic)()
