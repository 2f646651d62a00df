"""Old reports are taken away, or an hourly look would fill the disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from modelyard.store.monitoring_records import AlertRecord

# Three windows an hour are 72 a day: these are those of the last week.
KEPT: Final = 500
log = logging.getLogger(__name__)


def prune_reports(
    home: Path, model: str, alerts: Iterable[AlertRecord], keep: int = KEPT
) -> list[Path]:
    """Delete all but the model's `keep` newest reports; return what was deleted.

    Reports that open alerts refer to stay, and so does every file that has another name than those
    that Modelyard gives, here in `home`/reports/MODEL. A report's JSON and profile go with it.
    """
    needed = {home / alert.report for alert in alerts if alert.report is not None}
    found = sorted((home / "reports" / model).glob("drift-*Z.html"))
    old = [path for path in found[: max(len(found) - keep, 0)] if path not in needed]
    for path in old:
        for suffix in (".html", ".json", ".profile.bin"):
            path.with_suffix(suffix).unlink(missing_ok=True)
    if old:
        log.info("%s: %d old drift reports deleted", model, len(old))
    return old
