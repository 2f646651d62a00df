"""`run_drift`: what the command line, Airflow and the demo share to watch a served model."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from modelyard.errors import MonitoringError, SpecError, UsageError
from modelyard.settings import Settings
from modelyard.spec.models import MonitorSpec, Spec

if TYPE_CHECKING:
    from modelyard.monitoring.check import DriftReport, Window

DEFAULT_WINDOW: Final = 1_000
log = logging.getLogger(__name__)


def run_drift(  # noqa: PLR0913 - the command's options, all by keyword
    settings: Settings,
    name: str,
    *,
    window: Window = DEFAULT_WINDOW,
    version: int | None = None,
    destination: Path | None = None,
    run: str | None = None,
) -> DriftReport:
    """Compare a model's live inputs with its reference and write the report.

    `version` is the champion's by default, `destination` a new file below ``HOME/reports/``.

    Raises:
        MonitoringError: there is no such version, no reference, or too few predictions.
    """
    from modelyard.monitoring.check import drift
    from modelyard.store.database import open_store
    from modelyard.tracking import registry

    number = _version(settings, name, version)
    files = registry.download(settings, name, number)
    with open_store(settings.database_url) as store:
        return drift(
            name,
            number,
            reference_folder=files / "reference",
            store=store,
            monitor=_monitor(settings, name, files),
            window=window,
            destination=destination or _new_file(settings, name),
            run=run,
        )


def _version(settings: Settings, name: str, version: int | None) -> int:
    from modelyard.tracking import registry

    if version is not None:
        return version
    champion = registry.champion(settings, name)
    if champion is None:
        message = f"{name} has no champion, so nothing is served that could be watched"
        raise MonitoringError(message, hint=f"modelyard run {name}, or name a --version")
    return champion.version


def _monitor(settings: Settings, name: str, files: Path) -> MonitorSpec:
    """Read how to watch: from the spec as it is today, else from the one that made the version.

    Watching changes nothing of a model, so a new alpha needs no new training.
    """
    from modelyard.spec.load import load_spec, resolve

    try:
        return load_spec(resolve(name, settings.specs)).monitor
    except (UsageError, SpecError):
        log.info("%s: watched as the spec of the version says", name)
    try:
        text = (files / "spec.json").read_text(encoding="utf-8")
        return Spec.model_validate(json.loads(text)).monitor
    except (OSError, ValueError, ValidationError):
        return MonitorSpec()


def _new_file(settings: Settings, name: str) -> Path:
    folder = settings.home / "reports" / name
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"[:-3]
    return folder / f"drift-{stamp}Z.html"
