"""One Airflow DAG for each file in model_specs/, valid or not."""

from __future__ import annotations

from airflow.sdk import get_parsing_context
from modelyard_dags.catalogue import read_specs
from modelyard_dags.training import spec_dag

from modelyard.settings import get_settings

settings = get_settings()
for entry in read_specs(settings.specs, only=get_parsing_context().dag_id):
    globals()[entry.dag_id] = spec_dag(entry, settings.endpoint)
