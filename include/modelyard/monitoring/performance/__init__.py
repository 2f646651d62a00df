"""How good a version's answers are: by labels, and estimated where there are none."""

from modelyard.monitoring.performance.measure import measure

__all__ = ["measure"]
