#!/usr/bin/env python
"""Take the pictures of the endpoint's pages that the docs show, from an endpoint that is running.

    scripts/page_pictures.py http://127.0.0.1:8000 nuclei-unet cells.png docs/images

asks the model with the image, and writes page-ask.png and page-traffic.png.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

WIDTH, COLOURS = 1200, 64


def main(endpoint: str, model: str, image: str, folder: str) -> None:
    """Take both pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("there is no Chromium; run scripts/install_chromium.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 880}, reduced_motion="reduce")
        page.goto(f"{endpoint}/?model={model}")
        page.locator("#fields input[type=file]").first.set_input_files(image)
        page.locator("#answer .facts").wait_for()
        page.wait_for_load_state("networkidle")
        save(page, Path(folder) / "page-ask.png")
        page.goto(f"{endpoint}/traffic")
        page.locator("#models > section").first.wait_for()
        save(page, Path(folder) / "page-traffic.png")
        browser.close()


def save(page: Page, file: Path) -> None:
    """Write what is in the window, in few colours so that the file stays small."""
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=file, animations="disabled")
    with Image.open(file) as shot:
        shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
