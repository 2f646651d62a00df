"""Data: versions, sources, checks, transforms and splits."""
