"""How a served version is to be watched: its spec's section `monitor`, as it is today."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pydantic import ValidationError

from modelyard.errors import SpecError, UsageError
from modelyard.spec.load import load_spec, resolve
from modelyard.spec.models import MonitorSpec, Spec

log = logging.getLogger(__name__)


def monitor_of(name: str, specs: Path, files: Path | None) -> MonitorSpec:
    """Read how to watch: from the spec as it is today, else from the one that made the version.

    Watching changes nothing of a model, so a new alpha needs no new training.

    Args:
        name: The model's name.
        specs: The folder of specs.
        files: The version's files, with its spec.json; None where they are not at hand.
    """
    try:
        return load_spec(resolve(name, specs)).monitor
    except (UsageError, SpecError):
        log.info("%s: watched as the spec of the version says", name)
    if files is None:
        return MonitorSpec()
    try:
        text = (files / "spec.json").read_text(encoding="utf-8")
        return Spec.model_validate(json.loads(text)).monitor
    except (OSError, ValueError, ValidationError):
        return MonitorSpec()
