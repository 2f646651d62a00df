"""Training: everything that Ludwig does."""
