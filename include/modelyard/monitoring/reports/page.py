"""The report as HTML: no script, nothing from elsewhere, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from modelyard import __version__
from modelyard.monitoring.reports import charts, words
from modelyard.monitoring.reports.said import Document, Profiles, part_of
from modelyard.store.monitoring_records import DriftCheck

if TYPE_CHECKING:
    from markupsafe import Markup

    from modelyard.monitoring.profile import ColumnSummary
    from modelyard.monitoring.reports.distributions import Distribution

HERE: Final = Path(__file__).parent
MOST_CHARTS: Final = 60
MOST_CARDS: Final = 20
NOUNS: Final = {
    "number": "numbers",
    "category": "categories",
    "missing": "missing values",
    "embedding": "embeddings",
}
MEASURES: Final = {
    "psi": "PSI",
    "jensen_shannon": "Jensen-Shannon (bits)",
    "kl": "KL (nats)",
    "hellinger": "Hellinger",
    "wasserstein": "Wasserstein (sd)",
    "mean_shift": "mean shift (sd)",
    "cross_entropy": "cross-entropy (nats)",
}
GROUPS: Final = (
    ("What the model answered", ("output",)),
    ("How sure it was", ("confidence",)),
    ("Inputs", ("input", "embedding", "latency")),
)


class Picture(NamedTuple):
    """One column's chart."""

    column: str
    svg: Markup
    drifted: bool


def render(
    check: DriftCheck,
    said: Document,
    distributions: Mapping[str, Distribution],
    profiles: Profiles,
    json_name: str,
) -> str:
    """Return the report's HTML; it names the JSON file that lies beside it."""
    style = (HERE / "report.css").read_text(encoding="utf-8")
    pictures = _pictures(check, distributions)
    page: str = _template().render(
        check=check,
        said=said,
        pictures={one.column: one.svg for one in pictures},
        groups=_groups(pictures, said),
        left_out=len(distributions) - len(pictures),
        profiles=_side_by_side(check, profiles),
        json_name=json_name,
        modelyard=__version__,
        style=_markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        images=any(example.images for example in said.examples),
        words=words,
        draw=_Draw(),
        measured=_measured(check),
        missing=_missing(check),
        most_cards=MOST_CARDS,
        explained=_explained(check),
    )
    return page


class _Draw:
    """Charts for the template; each escapes the names and values that it writes."""

    def __getattr__(self, name: str) -> Any:
        made = getattr(charts, name)
        return lambda *values, **more: _markup(made(*values, **more))


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: words.visible(value) if type(value) is str else value,
    )
    return environment.get_template("report.html.j2")


def _markup(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - this package's own sheet and charts, which escape


def _pictures(check: DriftCheck, distributions: Mapping[str, Distribution]) -> list[Picture]:
    """Draw what drifted, what the model answered, and as many others as are still read."""
    changed = {one.column for one in check.verdicts if one.drifted and one.kind != "missing"}
    order = dict.fromkeys([*(verdict.column for verdict in check.verdicts), *distributions])
    names = [name for name in order if name in distributions]
    shown = [
        name
        for index, name in enumerate(names)
        if name in changed or index < MOST_CHARTS or part_of(name) in {"output", "confidence"}
    ]
    return [
        Picture(name, _markup(charts.chart(distributions[name])), name in changed) for name in shown
    ]


def _groups(pictures: list[Picture], said: Document) -> list[tuple[str, list[Picture]]]:
    """Sort charts below what they belong to; those of the findings stand with them."""
    above = {one.column for one in said.findings[:MOST_CARDS] if not one.missing}
    found = [
        (
            title,
            [one for one in pictures if one.column not in above and part_of(one.column) in parts],
        )
        for title, parts in GROUPS
    ]
    return [(title, some) for title, some in found if some]


def _missing(check: DriftCheck) -> dict[str, Markup]:
    """Draw how often there was no value, of the columns that drifted in that."""
    return {
        one.column: _markup(charts.missing(one.column, one.reference_missing, one.live_missing))
        for one in check.verdicts
        if one.kind == "missing" and one.drifted
    }


def _measured(check: DriftCheck) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """Lay out the measures that decide nothing: their names, and each column's values."""
    known = list(dict.fromkeys(name for one in check.verdicts for name in one.measures))
    names = [*(name for name in MEASURES if name in known), *sorted(set(known) - set(MEASURES))]
    rows = [
        (verdict.column, [verdict.measures.get(name) for name in names])
        for verdict in check.verdicts
        if verdict.measures
    ]
    return [MEASURES.get(name, name) for name in names], rows


def _explained(check: DriftCheck) -> list[str]:
    """Say what was done, in a few sentences that only name what occurs."""
    tests: dict[str, set[str]] = {}
    for verdict in check.verdicts:
        if verdict.p_value is not None:
            tests.setdefault(f"{verdict.test} (effect: {verdict.effect_name})", set()).add(
                NOUNS[verdict.kind]
            )
    said = [f"{' and '.join(sorted(kinds))} by {test}" for test, kinds in tests.items()]
    explained = [f"Compared are {'; '.join(said)}."] if said else []
    if check.source == "profiles":
        explained.append("The window was read from its profiles, not row by row.")
    return explained


def _side_by_side(
    check: DriftCheck, profiles: Profiles
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
