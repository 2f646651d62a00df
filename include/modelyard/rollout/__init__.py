"""Rollout: which version gets which traffic, and why."""
