"""Stack: the local services, started, watched and stopped together."""
