"""Prometheus's programs, beside Python where `make test` puts them, or wherever the PATH leads."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def found(name: str) -> str | None:
    """Where a program is; None if it is nowhere."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
