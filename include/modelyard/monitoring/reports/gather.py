"""Gather what a report says besides the comparison: from the database and from the window's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.reports.context import Cloud, ReportContext
from modelyard.monitoring.reports.examples import examples
from modelyard.monitoring.reports.report import renew_report
from modelyard.monitoring.window import parse_segment
from modelyard.store.database import Store
from modelyard.store.monitoring_records import AlertRecord, DriftCheck, PerformanceCheck
from modelyard.store.predictions import Seen, Span

if TYPE_CHECKING:
    import pandas as pd

EARLIER: Final = 24
SAMPLE: Final = 2_000
LOOKED_AT: Final = 20_000
POINTS: Final = 400
# Points farther out than this share of each side would squeeze the others; they are counted.
TAIL: Final = 0.01
COMPONENTS: Final = ("embedding.0", "embedding.1")


def report_context(
    store: Store,
    check: DriftCheck,
    *,
    reference: pd.DataFrame,
    outputs: pd.DataFrame | None = None,
    home: Path | None = None,
) -> ReportContext:
    """Return what is known around a comparison.

    `reference` holds the observed inputs and `outputs` the model's outputs that the window was
    compared with; `home` is where inputs that were kept whole lie. Of the window its newest 2,000
    predictions are read.
    """
    seen = window_sample(store, check)
    of_window = store.verdicts(
        check.model,
        limit=EARLIER + 1,
        version=check.version,
        window=check.window,
        segment=check.segment,
    )
    earlier = [one for one in of_window if one.id != check.id and one.at <= check.at]
    return ReportContext(
        earlier=tuple(earlier[:EARLIER]),
        performance=tuple(performance_of(store, check)),
        alerts=tuple(_about(check, store.alerts(check.model, open_only=True))),
        examples=examples(store, check, seen, reference=reference, outputs=outputs, home=home),
        cloud=cloud(outputs, seen),
    )


def renew_reports(
    store: Store, written: Iterable[tuple[Path, DriftCheck]], alerts: Sequence[AlertRecord]
) -> None:
    """Add to reports what a look measured and raised after they were written.

    An alert names the report that shows it, so the report should name the alert.
    """
    for html, check in written:
        performance, mine = performance_of(store, check), _about(check, alerts)
        if performance or mine:
            renew_report(html, performance=performance, alerts=mine)


def _about(check: DriftCheck, alerts: Iterable[AlertRecord]) -> list[AlertRecord]:
    wanted = (check.version, check.segment)
    return [alert for alert in alerts if (alert.version, alert.segment) == wanted]


def window_sample(store: Store, check: DriftCheck) -> list[Seen]:
    """Read the newest rows of the compared window, at most 2,000.

    For those of a segment at most the window's newest 20,000 are looked through.
    """
    segment = parse_segment(check.segment)
    last = SAMPLE if segment is None else LOOKED_AT
    span = Span(last=last, since=check.first_at, until=check.last_at)
    rows = (row for batch in store.seen(check.model, check.version, span) for row in batch)
    return list(islice((row for row in rows if segment is None or segment.has(row)), SAMPLE))


def performance_of(store: Store, check: DriftCheck) -> list[PerformanceCheck]:
    """Return the last looks at the answers of this version and segment, this window's if any."""
    looks = partial(
        store.performance,
        check.model,
        version=check.version,
        segment=check.segment,
        limit=EARLIER,
    )
    return looks(window=check.window) or looks()


def cloud(outputs: pd.DataFrame | None, seen: Iterable[Seen]) -> Cloud | None:
    """Sample the first two components of the embeddings; None where the model has none."""
    import numpy as np

    live = np.array([row.embedding[:2] for row in seen if row.embedding and len(row.embedding) > 1])
    if outputs is None or not set(COMPONENTS) <= set(outputs.columns) or not len(live):
        return None
    sides = [outputs[list(COMPONENTS)].to_numpy(dtype="float64"), live]
    sides = [side[np.isfinite(side).all(axis=1)] for side in sides]
    if not all(map(len, sides)):
        return None
    tails = [np.quantile(side, [TAIL, 1 - TAIL], axis=0) for side in sides]
    low, high = np.min([tail[0] for tail in tails], axis=0), np.max([t[1] for t in tails], axis=0)
    inside = [side[((side >= low) & (side <= high)).all(axis=1)] for side in sides]
    # One seed, so that the same window gives the same picture.
    random = np.random.default_rng(0)
    drawn = [
        side[random.choice(len(side), min(POINTS, len(side)), replace=False)] for side in inside
    ]
    first, second = (tuple((float(x), float(y)) for x, y in side) for side in drawn)
    outside = tuple(len(side) - len(kept) for side, kept in zip(sides, inside, strict=True))
    return Cloud(reference=first, live=second, outside=(outside[0], outside[1]))
