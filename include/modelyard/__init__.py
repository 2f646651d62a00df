"""Modelyard: from a short model spec to a trained, tracked, served and watched model."""

from importlib import import_module
from typing import Any, Final

__version__: Final = "0.1.0"


def __getattr__(name: str) -> Any:
    """Give the registry to programs, and load it only then."""
    if name == "ModelRegistry":
        return import_module("modelyard.model_registry").ModelRegistry
    message = f"module modelyard has no attribute {name}"
    raise AttributeError(message)
