"""Train a model: one Airflow DAG for each file in model_specs/, valid or not, and one for any of them.

Both are declared here, so that the specs are read once.
"""

from __future__ import annotations

from airflow.sdk import get_parsing_context
from modelyard_dags.catalogue import ANY, labels, read_specs
from modelyard_dags.form import any_params
from modelyard_dags.training import any_dag, spec_dag

from modelyard.settings import get_settings

settings = get_settings()
asked = get_parsing_context().dag_id
entries = read_specs(settings.specs, only=None if asked == ANY else asked)

if asked != ANY:
    globals().update({entry.dag_id: spec_dag(entry, settings.endpoint) for entry in entries})
if asked in {None, ANY}:
    dag = any_dag(any_params(labels(entries)))
