"""The report is one file that opens offline, runs nothing, and says what the verdicts say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelyard.monitoring.drift import compare
from modelyard.monitoring.profile import profile_frame, summarise
from modelyard.monitoring.reports import headline, sure, write_report
from modelyard.monitoring.reports.distributions import distributions
from modelyard.monitoring.reports.page import HERE, MOST_CHARTS
from modelyard.monitoring.reports.words import figure
from modelyard.spec.models import MonitorSpec
from modelyard.store.monitoring_records import DriftCheck
from modelyard.store.records import now

HOSTILE = "<script>alert('x')</script>\" onload=\"alert(1)"

type Draw = Callable[..., pd.DataFrame]


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def write(
    tmp_path: Path, known: pd.DataFrame, live: pd.DataFrame, model: str = "clinic"
) -> tuple[str, Path]:
    verdicts = compare(known, live, MonitorSpec())
    check = DriftCheck(
        model=model,
        version=3,
        window="1000",
        rows=len(live),
        first_at=now(),
        last_at=now(),
        reference_rows=len(known),
        alpha=0.05,
        correction="benjamini-hochberg",
        min_effect=0.1,
        drifted=any(one.drifted for one in verdicts),
        run="run-1",
        verdicts=tuple(verdicts),
    )
    profiles = (summarise(profile_frame(known)), summarise(profile_frame(live)))
    path = tmp_path / "reports" / "drift.html"
    written = write_report(check, distributions(known, live), profiles, path)
    assert written == path
    return path.read_text(), path


def test_drift_is_said_first(tmp_path: Path, table: Draw) -> None:
    html, _ = write(tmp_path, table(500), table(200, shift=1.0))
    text = Tags(html).text
    assert "Drift in 1 of 3 columns" in text
    assert "run run-1" in text
    assert "last 200 predictions" in text


def test_no_drift_is_said_too(tmp_path: Path, table: Draw) -> None:
    same = table(500)
    assert "No drift in 3 columns" in Tags(write(tmp_path, same, same)[0]).text


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path, table: Draw) -> None:
    parsed = Tags(write(tmp_path, table(500), table(200))[0])
    names = {tag for tag, _ in parsed.tags}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "form", "base"})
    attributes = {name for _, found in parsed.tags for name in found}
    assert attributes.isdisjoint({"src", "style", "srcset", "xlink:href"})
    assert {found["href"][:1] for _, found in parsed.tags if found.get("href")} <= {"#"}
    assert not [name for name in attributes if name.startswith("on")]


def test_the_policy_allows_this_style_and_nothing_else(tmp_path: Path, table: Draw) -> None:
    html, _ = write(tmp_path, table(500), table(200))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_hostile_names_and_values_are_text(tmp_path: Path, random: np.random.Generator) -> None:
    known = pd.DataFrame({HOSTILE: random.choice(["a", HOSTILE], 200), "x": ["b"] * 200})
    live = pd.DataFrame({HOSTILE: ["c" + HOSTILE] * 100, "x": [HOSTILE] * 100})
    parsed = Tags(write(tmp_path, known, live, model=HOSTILE)[0])
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert not [name for _, found in parsed.tags for name in found if name == "onload"]
    assert HOSTILE in parsed.text


def test_each_column_has_a_picture_that_says_what_it_is(tmp_path: Path, table: Draw) -> None:
    parsed = Tags(write(tmp_path, table(500), table(200))[0])
    labels = [
        found["aria-label"] for tag, found in parsed.tags if tag == "svg" and "aria-label" in found
    ]
    assert sorted(map(str, labels)) == [
        f"{name}: reference and window" for name in ("level", "site", "size")
    ]


def test_a_picture_that_would_be_missed_is_counted(
    tmp_path: Path, random: np.random.Generator
) -> None:
    wide = pd.DataFrame(random.normal(size=(60, MOST_CHARTS + 7))).add_prefix("x")
    parsed = Tags(write(tmp_path, wide, wide)[0])
    assert len([tag for tag, _ in parsed.tags if tag == "figure"]) == MOST_CHARTS
    assert "7 more columns without drift are not drawn" in parsed.text


def test_both_themes_and_paper_are_cared_for(tmp_path: Path, table: Draw) -> None:
    html, _ = write(tmp_path, table(500), table(200))
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_the_json_says_the_same(tmp_path: Path, table: Draw) -> None:
    _, path = write(tmp_path, table(500), table(200, shift=1.0))
    found = json.loads(path.with_suffix(".json").read_text())
    assert found["drifted_columns"] == ["size"]
    assert found["verdicts"][0]["column"] == "size"
    assert found["distributions"]["site"]["labels"] == ["north", "south", "east"]
    assert found["profiles"]["window"]["size"]["count"] == 200


def test_a_reference_without_a_profile_is_no_obstacle(tmp_path: Path, table: Draw) -> None:
    known = table(500)
    check = DriftCheck(
        model="m",
        version=1,
        window="all",
        rows=500,
        first_at=now(),
        last_at=now(),
        reference_rows=500,
        alpha=0.05,
        correction="bonferroni",
        min_effect=0.1,
        drifted=False,
        verdicts=(),
    )
    path = write_report(check, distributions(known, known), ({}, {}), tmp_path / "r.html")
    assert "all 500 predictions" in path.read_text()
    assert headline(check) == "No drift in 0 columns"


@pytest.mark.parametrize(
    ("p_value", "words"), [(None, "-"), (0.5, "0.5"), (0.01234, "0.012"), (1e-9, "< 0.0001")]
)
def test_p_values_are_written_for_people(p_value: float | None, words: str) -> None:
    assert sure(p_value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (1, "1"),
        (-2.5, "-2.5"),
        (12345.6, "12,350"),
        (0.012346, "0.01235"),
        (99999, "100,000"),
        (1e-7, "1e-07"),
        (1.5e12, "1.5e+12"),
    ],
)
def test_figures_are_written_for_people(value: float, words: str) -> None:
    assert figure(value) == words


def test_the_json_holds_what_the_page_says(tmp_path: Path, table: Draw) -> None:
    html, path = write(tmp_path, table(500), table(200, shift=1.0))
    said = json.loads(path.with_suffix(".json").read_text())
    text = Tags(html).text
    lines = [said["headline"], said["promise"], *(line["text"] for line in said["summary"])]
    for finding in said["findings"]:
        lines += [finding["column"], finding["size"], finding["meaning"]]
        lines += finding["changed"].split("; ")
    assert len(lines) > 6
    assert [line for line in lines if line not in text] == []


def test_what_changed_is_said_in_figures(tmp_path: Path, random: np.random.Generator) -> None:
    known = pd.DataFrame(
        {"site": ["a"] * 150 + ["b"] * 150, "n": random.normal(10, 1, 300), "gap": [1.0, 2.0] * 150}
    )
    live = pd.DataFrame({"site": ["a"] * 200, "n": random.normal(20, 1, 200), "gap": [None] * 200})
    _, path = write(tmp_path, known, live)
    said = json.loads(path.with_suffix(".json").read_text())
    changed = {(one["column"], one["missing"]): one["changed"] for one in said["findings"]}
    assert changed["site", False] == "a: from 50 % to 100 %; b: from 50 % to 0 %"
    assert re.match(r"mean from (9|10)\.\d+ to (19|20)\.?\d*; standard dev", changed["n", False])
    assert changed["gap", True] == "without a value: from 0 % to 100 %"


def test_marks_that_turn_text_around_are_taken_out(tmp_path: Path) -> None:
    known = pd.DataFrame({"x": ["a", "b"] * 100})
    live = pd.DataFrame({"x": ["\u202ea"] * 60 + ["\x1b[31m"] * 60})
    html, path = write(tmp_path, known, live)
    assert not set(html) & {"\u202e", "\x1b"}
    assert "\ufffda" in html
    assert (
        "\u202ea"
        in json.loads(path.with_suffix(".json").read_text())["distributions"]["x"]["labels"]
    )


def test_a_hundred_columns_stay_below_two_megabytes(
    tmp_path: Path, random: np.random.Generator
) -> None:
    known = pd.DataFrame(random.normal(size=(400, 100))).add_prefix("a rather long column name ")
    live = known + 1.0
    html, path = write(tmp_path, known, live.head(200))
    assert len(html.encode()) < 2_000_000
    assert path.with_suffix(".json").stat().st_size < 2_000_000
    text = Tags(html).text
    assert "Drift in 100 of 100 columns" in text
    assert "80 more are in the table of all columns" in text
    assert "and 87 more" in text


ON_GROUNDS = [
    ("ink", "page", 4.5),
    ("ink", "card", 4.5),
    ("ink", "bad-soft", 4.5),
    ("muted", "page", 4.5),
    ("muted", "card", 4.5),
    ("muted", "bad-soft", 4.5),
    ("bad", "card", 4.5),
    ("bad", "bad-soft", 4.5),
    ("good", "card", 4.5),
    ("live", "page", 4.5),
    ("warning", "warning-soft", 4.5),
    ("strong", "bad", 4.5),
    ("reference", "card", 3.0),
    ("live", "card", 3.0),
]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour if len(colour) > 4 else "#" + "".join(2 * one for one in colour[1:])
    shares = [int(digits[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("place", "theme"), list(enumerate(["light", "dark", "print"])))
def test_colours_have_enough_contrast(place: int, theme: str) -> None:
    sheet = (HERE / "report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", blocks[place]))
    for front, ground, least in ON_GROUNDS:
        bright, dark = sorted((luminance(colours[front]), luminance(colours[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= least, f"{front} on {ground}, {theme}"
