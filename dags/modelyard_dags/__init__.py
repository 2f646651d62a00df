"""What the DAG files share; `.airflowignore` keeps Airflow from looking for DAGs in here."""
