"""Train any spec.

Choose a spec in Airflow's trigger form, and for this run alone another data revision, other values
or a fresh start. What is left as it is stands as the spec says; the run records what was resolved.
"""

from __future__ import annotations

from modelyard_dags.catalogue import read_labels
from modelyard_dags.form import any_params
from modelyard_dags.training import any_dag

from modelyard.settings import get_settings

dag = any_dag(any_params(read_labels(get_settings().specs)), __doc__ or "")
