"""Alembic's environment and the revisions of Modelyard's database."""
