"""Modelyard: from a short model spec to a trained, tracked, served and watched model."""

from importlib import import_module
from typing import Any, Final

__version__: Final = "0.1.0"

LAZY: Final = {"ModelMonitor": "modelyard.monitor", "ModelRegistry": "modelyard.model_registry"}


def __getattr__(name: str) -> Any:
    """Give the registry and the monitor to programs, and load them only then."""
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    message = f"module modelyard has no attribute {name}"
    raise AttributeError(message)
