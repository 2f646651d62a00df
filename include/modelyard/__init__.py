"""Modelyard: from a short model spec to a trained, tracked, served and watched model."""

from typing import Final

__version__: Final = "0.1.0"
