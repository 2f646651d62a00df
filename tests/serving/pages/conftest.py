"""One endpoint and one browser for all tests of pages; each test gets a fresh window."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.serving.pages.yard import Yard, open_yard

PATIENCE_MS = 10_000
NETWORK = "Failed to load resource"


class Visit(Protocol):
    """Opens a path of the endpoint in a new window."""

    def __call__(
        self,
        path: str = "",
        *,
        before: Callable[[Page], object] = str,
    ) -> Page: ...


@pytest.fixture(scope="package")
def whole_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with open_yard(tmp_path_factory.mktemp("yard")) as opened:
        yield opened


@pytest.fixture
def yard(whole_yard: Yard) -> Iterator[Yard]:
    """The endpoint, as it was before a test changed it."""
    yield whole_yard
    whole_yard.lock()
    whole_yard.backend.faults.clear()
    whole_yard.backend.asked.clear()
    if whole_yard.changed:
        whole_yard.restore()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; it ends with these tests, for while it runs no other test may run an event loop."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium is not None, "there is no Chromium; run scripts/install_chromium.sh"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="package")
def context(browser: Browser) -> BrowserContext:
    """One for all, so that scripts are fetched once; what a page keeps is its tab's own."""
    made = browser.new_context(reduced_motion="reduce")
    made.set_default_timeout(PATIENCE_MS)
    return made


@pytest.fixture
def visit(context: BrowserContext, yard: Yard) -> Iterator[Visit]:
    """Open pages; whatever they complain of to the console fails the test."""
    pages: list[Page] = []
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # Chromium reports every refusal of the endpoint, which a page may well expect.
        if message.type in {"error", "warning"} and NETWORK not in message.text:
            complaints.append(message.text)

    def opened(
        path: str = "",
        *,
        before: Callable[[Page], object] = str,
    ) -> Page:
        page = context.new_page()
        pages.append(page)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        before(page)
        page.goto(f"{yard.url}/{path}")
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture
def ask(visit: Visit) -> Callable[[str], Page]:
    """Open the page of a model and wait for its form."""

    def opened(model: str) -> Page:
        page = visit(f"?model={model}")
        page.locator("#fields > *").first.wait_for()
        return page

    return opened


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """A small PNG."""
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.new("RGB", (40, 30), (200, 120, 60)).save(path)
    return path
