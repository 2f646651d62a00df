"""Compare a window of logged predictions with the reference: verdicts, kept and written down."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.monitoring.reference import read_profile, read_sample
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import DriftCheck
from modelyard.store.records import PredictionRecord

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

type Window = int | Literal["all"]


class DriftReport(BaseModel):
    """A comparison, and where it is written down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: DriftCheck = Field(description="The comparison with the verdict of each column.")
    html: Path = Field(description="The report for people; opens offline.")
    json_file: Path = Field(description="The same figures for scripts.")
    profile: Path = Field(description="The window's profile, as whylogs writes it.")


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """What was observed of a window's inputs, and when."""

    frame: pd.DataFrame
    first_at: datetime
    last_at: datetime


def drift(  # noqa: PLR0913 - what, against what, from where, how and where to
    model: str,
    version: int,
    *,
    reference_folder: Path,
    store: Store,
    monitor: MonitorSpec,
    window: Window,
    destination: Path,
    run: str | None = None,
) -> DriftReport:
    """Compare the version's last predictions with its reference, and write the report.

    `destination` is the HTML file; the JSON and the window's profile are put beside it. The
    verdicts are kept in the database.

    Raises:
        MonitoringError: there is no reference, or there are too few predictions.
    """
    from modelyard.monitoring.drift import compare

    reference = read_sample(reference_folder)
    live = read_window(store, model, version, window, reference)
    verdicts = tuple(compare(reference, live.frame, monitor))
    check = DriftCheck(
        model=model,
        version=version,
        window=str(window),
        rows=len(live.frame),
        first_at=live.first_at,
        last_at=live.last_at,
        reference_rows=len(reference),
        alpha=monitor.alpha,
        correction=monitor.correction,
        min_effect=monitor.min_effect,
        drifted=any(verdict.drifted for verdict in verdicts),
        run=run,
        verdicts=verdicts,
    )
    report = _write(check, reference, live.frame, read_profile(reference_folder), destination)
    store.save_verdicts(check)
    log.info("%s version %s: drift report %s", model, version, report.html)
    return report


def read_window(
    store: Store, model: str, version: int, window: Window, reference: pd.DataFrame
) -> LiveWindow:
    """Read the reference's columns of the version's last predictions; refuse if too few.

    Batches become compact columns one by one, so that a large window stays small in memory.
    """
    import pandas as pd

    from modelyard.monitoring.drift import require_rows

    last = None if window == "all" else window
    frames: list[pd.DataFrame] = []
    moments: list[datetime] = []
    for batch in store.prediction_batches(model, last=last, version=version):
        frames.append(_frame(batch, reference))
        moments += [batch[0].at, batch[-1].at]
    require_rows(
        f"the window of {model} version {version}",
        sum(map(len, frames)),
        hint="send more requests to the endpoint, or ask for a larger window",
    )
    return LiveWindow(pd.concat(frames, ignore_index=True), min(moments), max(moments))


def _frame(records: Sequence[PredictionRecord], reference: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    columns = {}
    for name, known in reference.items():
        values = pd.Series([record.inputs.get(str(name)) for record in records], dtype="object")
        if pd.api.types.is_numeric_dtype(known):
            values = pd.to_numeric(values, errors="coerce").astype("float64")
        columns[str(name)] = values
    return pd.DataFrame(columns)


def _write(
    check: DriftCheck,
    reference: pd.DataFrame,
    live: pd.DataFrame,
    reference_profile: bytes | None,
    destination: Path,
) -> DriftReport:
    from modelyard.monitoring.distributions import distributions
    from modelyard.monitoring.profile import profile_frame, summarise, write_profile
    from modelyard.monitoring.report import write_report

    live_profile = profile_frame(live)
    profiles = (
        summarise(reference_profile) if reference_profile is not None else {},
        summarise(live_profile),
    )
    html = write_report(check, distributions(reference, live), profiles, destination)
    profile = destination.with_suffix(".profile.bin")
    write_profile(live_profile, profile)
    return DriftReport(check=check, html=html, json_file=html.with_suffix(".json"), profile=profile)
