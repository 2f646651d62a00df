"""Tracking: everything that MLflow does."""
