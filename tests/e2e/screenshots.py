"""Pictures of the running Airflow UI, taken by a headless Chromium that logs in as a person does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

SIZE: ViewportSize = {"width": 1440, "height": 900}
PATIENCE_MS = 30_000


@dataclass(frozen=True, slots=True)
class Airflow:
    """Where the UI is, and who looks at it."""

    url: str
    user: str
    password: str


def chromium() -> str | None:
    """Find a Chromium; None if this machine has none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def logged_in(airflow: Airflow, *, dark: bool = False) -> Iterator[Page]:
    """Open the UI and log in through its form."""
    with browser() as started:
        page = started.new_page(viewport=SIZE, color_scheme="dark" if dark else "light")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{airflow.url}/auth/login/")
        page.locator("input[name=username]").fill(airflow.user)
        page.locator("input[name=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/auth/login" not in url)
        yield page


def picture(page: Page, url: str, until: str, destination: Path) -> Path:
    """Open a page, wait until a text is to be seen, and save what is shown as a PNG."""
    page.goto(url)
    page.get_by_text(until).first.wait_for()
    destination.parent.mkdir(parents=True, exist_ok=True)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=destination, animations="disabled")
    return destination
