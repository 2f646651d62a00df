"""What all pages owe to everybody: names, contrast, small screens, no scripts from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.serving.pages.conftest import Visit
from tests.serving.pages.yard import EXAMPLES, Yard

PAGES = ("traffic", "docs", "predictions", *(f"?model={name}" for name in EXAMPLES))
NAMELESS = """() => [...document.querySelectorAll('input, select, textarea, button, a, summary, [role=img], [role=region], table, canvas + *')]
    .filter((e) => e.checkVisibility({visibilityProperty: true}))
    .filter((e) => {
        const by = (e.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('');
        const labels = [...(e.labels ?? [])].map((l) => l.textContent).join('');
        const own = e.tagName === 'TABLE' ? (e.caption ?? e.closest('[role=region]'))?.ariaLabel ?? e.caption?.textContent : e.textContent;
        return !(by + labels + (e.ariaLabel ?? '') + (['INPUT', 'SELECT', 'TEXTAREA'].includes(e.tagName) ? '' : own ?? '')).trim();
    }).map((e) => e.outerHTML.slice(0, 120))"""
# Relative luminance and contrast as in WCAG 2.2; a ground is the nearest one that is not clear.
FAINT = """() => {
    const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const ground = (e) => {
        for (; e; e = e.parentElement) {
            const colour = rgba(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const contrast = (one, other) => {
        const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
    };
    const found = new Set();
    const seen = new Set();
    for (const e of document.querySelectorAll('body *')) {
        // The same kind of element in the same kind of place looks the same.
        const kind = [e, e.parentElement, e.parentElement.parentElement].map((x) => `${x.tagName}.${x.className}`).join(' ');
        if (seen.has(kind)) continue;
        seen.add(kind);
        if (!e.checkVisibility({visibilityProperty: true})) continue;
        const style = getComputedStyle(e);
        if (e.matches('[type=range], [type=checkbox]')) continue;
        const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || ['INPUT', 'SELECT', 'TEXTAREA'].includes(e.tagName);
        if (says && contrast(rgba(style.color), ground(e)) < 4.5) found.add(`text ${e.tagName}.${e.className} ${contrast(rgba(style.color), ground(e)).toFixed(2)}`);
        if (e.matches('.control, .switch, .button, .drop') && contrast(rgba(style.borderTopColor), ground(e.parentElement)) < 3) found.add(`edge ${e.className}`);
    }
    return [...found];
}"""


type Shown = Callable[[str], Page]


@pytest.fixture(scope="module")
def shown(context: BrowserContext, whole_yard: Yard) -> Shown:
    """Open each page once, with as much on it as there can be: looking at it changes nothing."""

    @cache
    def opened(path: str) -> Page:
        page = context.new_page()
        page.goto(f"{whole_yard.url}/{path}")
        if path == "traffic":
            page.locator("#traffic").wait_for()
        elif path not in {"docs", "predictions"}:
            page.get_by_role("button", name="Example values").click()
            if not page.locator(".drop").count():
                page.get_by_role("button", name="Predict", exact=True).click()
            page.locator("#answer .facts").wait_for()
        return page

    return opened


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_nothing_is_wider_than_the_screen(shown: Shown, path: str) -> None:
    page = shown(path)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", PAGES)
def test_every_control_and_table_has_a_name(shown: Shown, path: str) -> None:
    assert shown(path).evaluate(NAMELESS) == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", "rgb(247, 248, 249)"), ("dark", "rgb(20, 23, 26)")]
)
def test_text_and_controls_stand_out_from_their_ground(
    shown: Shown, path: str, scheme: Literal["light", "dark"], ground: str
) -> None:
    page = shown(path)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    assert page.evaluate(FAINT) == []


@pytest.mark.parametrize("path", PAGES)
def test_each_page_says_its_language_and_its_parts(shown: Shown, path: str) -> None:
    page = shown(path)
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title().endswith(" · Modelyard")
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    here = page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")
    expect(here).to_have_count(1)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_the_first_tab_skips_to_the_content_and_focus_can_be_seen(visit: Visit) -> None:
    page = visit()
    page.locator("#workbench:visible").wait_for()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    assert skip.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
