"""The log of all predictions."""
