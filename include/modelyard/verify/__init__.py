"""Verify: make a version again from what is recorded of it, and say whether it is the same."""
