"""The page behind `modelyard_plugin`; `.airflowignore` keeps Airflow from importing it."""
