"""The report in a browser: it complains of nothing, loads nothing, and fits where it is read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from modelyard.monitoring.drift import compare
from modelyard.monitoring.profile import ColumnSummary
from modelyard.monitoring.reports import ReportContext, write_report
from modelyard.monitoring.reports.context import Cell, Cloud, Example
from modelyard.monitoring.reports.distributions import distributions
from modelyard.spec.models import MonitorSpec
from modelyard.store.monitoring_records import DriftCheck
from modelyard.store.records import now
from tests.monitoring.test_report import HOSTILE

# A picture of one pixel.
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every part, long names, and values that would like to be markup."""
    random = np.random.default_rng(1)
    known = pd.DataFrame(
        {
            HOSTILE: random.choice(["a", HOSTILE], 200),
            "n" * 200: random.normal(size=200),
            **{f"x{number}": random.normal(size=200) for number in range(10)},
        }
    )
    live = known.assign(**{HOSTILE: "z" + HOSTILE, "n" * 200: known["n" * 200] + 3})
    verdicts = tuple(compare(known, live, MonitorSpec()))
    check = DriftCheck(
        model=HOSTILE,
        version=1,
        window="24h",
        rows=200,
        first_at=now(),
        last_at=now(),
        reference_rows=200,
        alpha=0.05,
        correction="bonferroni",
        min_effect=0.1,
        drifted=True,
        run="r" * 200,
        verdicts=verdicts,
    )
    cell = Cell(column=HOSTILE, value="z" + HOSTILE, usual=HOSTILE, unlike=1.0)
    example = Example(
        prediction="p" * 100,
        at=now().isoformat(),
        cells=(cell,),
        outputs={"label": HOSTILE},
        texts={"story": HOSTILE * 20},
        images={"photo": PIXEL},
    )
    context = ReportContext(
        earlier=(check.model_copy(update={"id": "earlier"}),),
        examples=(example,),
        cloud=Cloud(reference=((0.0, 0.0), (1.0, 2.0)), live=((3.0, 1.0),)),
    )
    summary = ColumnSummary(
        count=200,
        missing=0,
        distinct=2,
        mean=1e12,
        std=None,
        minimum=-1e-9,
        median=0.5,
        maximum=1e300,
        frequent=(),
    )
    profiles = ({HOSTILE: summary}, {HOSTILE: summary})
    path = tmp_path_factory.mktemp("report") / "drift.html"
    return write_report(check, distributions(known, live), profiles, path, context=context)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; it ends with this module, for while it runs no other test may run an event loop."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium is not None, "there is no Chromium; run scripts/install_chromium.sh"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The report in a window; whatever it asks for or complains of fails the test."""
    opened = browser.new_page()
    heard: list[str] = []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("dialog", lambda dialog: heard.append(dialog.message))
    opened.on("request", lambda request: heard.append(request.url[:40]))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert [one for one in heard if one not in {report.as_uri()[:40], PIXEL[:40]}] == []


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_a_phone_and_a_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("h1").inner_text().startswith(HOSTILE)


def test_it_follows_the_readers_theme(page: Page) -> None:
    colours = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(247, 248, 249)", "rgb(20, 23, 26)"]


def test_each_part_is_reached_and_pictures_are_shown(page: Page) -> None:
    links = page.locator("nav a").all()
    targets = [link.get_attribute("href") for link in links]
    assert {"#drifted", "#history", "#examples", "#embeddings", "#columns"} <= set(targets)
    assert all(page.locator(str(target)).count() == 1 for target in targets)
    assert page.locator("img").evaluate("image => image.naturalWidth") == 1


def test_paper_has_no_links_and_light_colours(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf()[:5] == b"%PDF-"
