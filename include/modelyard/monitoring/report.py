"""One HTML file that opens offline, and the same figures as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard import __version__
from modelyard.monitoring.charts import chart, figure
from modelyard.monitoring.distributions import Distribution
from modelyard.monitoring.drift import drifted
from modelyard.monitoring.profile import ColumnSummary
from modelyard.store.monitoring_records import DriftCheck
from modelyard.workspace import write_atomically

if TYPE_CHECKING:
    from markupsafe import Markup

HERE: Final = Path(__file__).parent
MOST_CHARTS: Final = 60
MOST_NAMES: Final = 12
SMALLEST: Final = 0.0001

type Summaries = Mapping[str, ColumnSummary]


def write_report(
    check: DriftCheck,
    distributions: Mapping[str, Distribution],
    profiles: tuple[Summaries, Summaries],
    destination: Path,
) -> Path:
    """Write `destination` (HTML) and beside it the same as `.json`; return `destination`.

    `profiles` are those of the reference and of the window.
    """
    as_json = destination.with_suffix(".json")
    write_atomically(as_json, _json(check, distributions, profiles))
    write_atomically(destination, render(check, distributions, profiles, as_json.name))
    return destination


def _json(
    check: DriftCheck,
    distributions: Mapping[str, Distribution],
    profiles: tuple[Summaries, Summaries],
) -> str:
    document = {
        **check.model_dump(mode="json"),
        "drifted_columns": drifted(check.verdicts),
        "distributions": {name: one.model_dump() for name, one in distributions.items()},
        "profiles": {
            side: {name: one.model_dump() for name, one in summaries.items()}
            for side, summaries in zip(("reference", "window"), profiles, strict=True)
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def render(
    check: DriftCheck,
    distributions: Mapping[str, Distribution],
    profiles: tuple[Summaries, Summaries],
    json_name: str,
) -> str:
    """Return the report's HTML: no script, nothing from elsewhere, everything escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (HERE / "report.css").read_text(encoding="utf-8")
    charts = _charts(check, distributions)
    return environment.get_template("report.html.j2").render(
        check=check,
        headline=headline(check),
        drifted=drifted(check.verdicts),
        window=_window(check),
        charts=charts,
        left_out=len(distributions) - len(charts),
        profiles=_side_by_side(check, profiles),
        json_name=json_name,
        modelyard=__version__,
        style=Markup(style),  # noqa: S704 - this package's own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        figure=figure,
        names=_names,
        share=_share,
        sure=sure,
        time=_time,
    )


def headline(check: DriftCheck) -> str:
    """Say in one line what the comparison found."""
    columns = len({verdict.column for verdict in check.verdicts})
    count = len(drifted(check.verdicts))
    total = f"{columns} column" if columns == 1 else f"{columns} columns"
    return f"Drift in {count} of {total}" if count else f"No drift in {total}"


def sure(p_value: float | None) -> str:
    """Write a p-value for people."""
    if p_value is None:
        return "-"
    return f"{p_value:.2g}" if p_value >= SMALLEST else f"< {SMALLEST:g}"


def _charts(
    check: DriftCheck, distributions: Mapping[str, Distribution]
) -> list[tuple[str, Markup, bool]]:
    from markupsafe import Markup

    changed = set(drifted(check.verdicts))
    order = dict.fromkeys(verdict.column for verdict in check.verdicts)
    names = [name for name in order if name in distributions]
    shown = [name for index, name in enumerate(names) if name in changed or index < MOST_CHARTS]
    return [
        # The chart escapes each name and value that it writes.
        (name, Markup(chart(distributions[name])), name in changed)  # noqa: S704 - see above
        for name in shown
    ]


def _side_by_side(
    check: DriftCheck, profiles: tuple[Summaries, Summaries]
) -> list[tuple[str, list[tuple[str, ColumnSummary]]]]:
    order = dict.fromkeys(verdict.column for verdict in check.verdicts)
    rows = []
    for name in order:
        sides = [
            (side, summaries[name])
            for side, summaries in zip(("reference", "window"), profiles, strict=True)
            if name in summaries
        ]
        if sides:
            rows.append((name, sides))
    return rows


def _window(check: DriftCheck) -> str:
    rows = f"{check.rows:,} predictions"
    return f"all {rows}" if check.window == "all" else f"last {rows}"


def _names(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:MOST_NAMES])
    more = len(columns) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _share(value: float) -> str:
    return f"{value:.1%}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
