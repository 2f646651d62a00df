"""Store: Modelyard's own database."""
