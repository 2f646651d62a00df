"""The page of live traffic, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Request, expect

from modelyard.api_keys import make_key
from modelyard.spec.serve import RolloutSpec
from modelyard.store.records import LedgerEntry, RolloutRecord, Tally, Variant
from tests.serving.pages.conftest import Visit
from tests.serving.pages.yard import Yard

MODEL = "example-digits"
POLICY = RolloutSpec(shadow=100, canary=(0.05, 0.25), approve=True).model_dump(mode="json")
SPLIT = (
    Variant(model=MODEL, version=3, weight=0.75, role="champion"),
    Variant(model=MODEL, version=4, weight=0.25, role="challenger", experiment="wider"),
)


@pytest.fixture
def counted(yard: Yard) -> Yard:
    """A rollout in its second canary step, with counts."""
    entry = LedgerEntry(
        model=MODEL,
        action="canary",
        before={"3": 0.95, "4": 0.05},
        after={"3": 0.75, "4": 0.25},
        reason="version 4 gets 25% of requests",
        by="steward",
        evidence={"measures": {"errors": {"verdict": "fine"}}},
    )
    rollout = RolloutRecord(
        id="rollout",
        model=MODEL,
        version=4,
        status="canary",
        step=1,
        phase=entry.id,
        slow_ms=40,
        policy=POLICY,
        reason=entry.reason,
        by="steward",
    )
    yard.changed = True
    yard.store.move(MODEL, SPLIT, entry, rollout)
    yard.store.add_tallies(
        [
            Tally(model=MODEL, version=4, phase=entry.id, measure="errors", trials=20, hits=1),
            Tally(model=MODEL, version=3, phase=entry.id, measure="errors", trials=80, hits=2),
        ]
    )
    yard.route()
    return yard


@pytest.fixture(autouse=True)
def ended(yard: Yard) -> object:
    """A model has at most one rollout under way: end the one of a test after it."""
    yield
    under_way = yard.store.rollout(MODEL)
    if under_way is not None:
        yard.store.save_rollout(under_way.model_copy(update={"status": "stopped"}))


def watch(visit: Visit) -> Page:
    page = visit("traffic")
    page.locator("#traffic").wait_for()
    return page


def look_again(page: Page) -> None:
    """Come back to the page, which then reads at once what it would read within two seconds."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.usefixtures("counted")
def test_each_version_has_its_share_its_counts_and_their_bounds(visit: Visit) -> None:
    page = visit("traffic")
    table = page.get_by_role("table", name=MODEL)
    row = table.get_by_role("row").filter(has_text="challenger")
    expect(row).to_contain_text("experiment wider")
    expect(row.get_by_role("cell").nth(0)).to_have_text("25\u202f%")
    expect(row.get_by_role("cell").nth(2)).to_contain_text("1 of 20")
    expect(row.get_by_role("cell").nth(2)).to_contain_text("5.00\u202f% (")
    expect(row.get_by_role("cell").nth(6)).to_have_text("closed")
    champion, challenger = (
        page.locator(f"#model-{MODEL}-{version}").evaluate("e => e.getBoundingClientRect().width")
        for version in (3, 4)
    )
    assert champion / challenger == pytest.approx(3, abs=0.05)


@pytest.mark.usefixtures("counted")
def test_a_rollout_says_where_it_is_and_what_it_waits_for(visit: Visit) -> None:
    page = visit("traffic")
    steps = page.locator(".steps li")
    names = ["shadow", "5\u202f%", "25\u202f%", "approval", "all traffic"]
    expect(steps).to_have_text(names)
    expect(page.locator(".steps [aria-current=step]")).to_have_text("25\u202f%")
    expect(page.locator(".missing")).to_contain_text("requests: 20 of 50")


@pytest.mark.usefixtures("counted")
def test_the_ledger_says_from_what_to_what_why_and_by_whom(visit: Visit) -> None:
    page = visit("traffic")
    row = page.get_by_role("table", name="Ledger").get_by_role("row").nth(1)
    for text in (
        MODEL,
        "canary",
        "3: 95\u202f% → 75\u202f%",
        "4: 5.0",
        "25% of requests",
        "steward",
    ):
        expect(row).to_contain_text(text.replace("4: 5.0", "4: 5\u202f% → 25\u202f%"))
    row.get_by_text("Evidence").click()
    expect(row).to_contain_text("measures.errors.verdict")


def test_new_counts_come_by_themselves_and_leave_focus_and_reading_alone(
    visit: Visit, counted: Yard
) -> None:
    page = watch(visit)
    details = page.locator("#entries details").first
    details.locator("summary").click()
    page.evaluate("window.kept = document.querySelector('#entries details')")
    [phase] = [entry.id for entry in counted.store.ledger(MODEL, 1)]
    counted.store.add_tallies(
        [Tally(model=MODEL, version=4, phase=phase, measure="errors", trials=10, hits=0)]
    )
    look_again(page)
    expect(page.get_by_text("1 of 30")).to_be_visible()
    assert page.evaluate("window.kept.isConnected && window.kept.open")
    expect(details.locator("summary")).to_be_focused()
    expect(page.locator("#news")).to_be_empty()


def test_a_decision_is_announced_once(visit: Visit, counted: Yard) -> None:
    page = watch(visit)
    entry = LedgerEntry(
        model=MODEL,
        at=datetime.now(UTC),
        action="rollback",
        before={},
        after={"3": 1},
        reason="version 4 is taken away",
        by="steward",
    )
    counted.store.move(MODEL, SPLIT[:1], entry)
    look_again(page)
    expect(page.locator("#news")).to_have_text(f"{MODEL}: rollback. version 4 is taken away")


def test_a_pause_stops_the_asking_until_it_ends(visit: Visit) -> None:
    page = visit("traffic", before=lambda made: made.clock.install())
    page.locator("#traffic").wait_for()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - it must be a function
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    page.clock.fast_forward(10_000)
    assert asked == []
    expect(pause).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/traffic"):
        pause.click()


def test_a_key_without_the_scope_is_told_so_and_can_be_changed(visit: Visit, yard: Yard) -> None:
    yard.lock(make_key("caller", ["predict"]), key := make_key("watcher", ["metrics"]))
    page = visit("traffic")
    page.get_by_label("API key", exact=True).fill(key.text)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("table", name=MODEL)).to_be_visible()
    other = make_key("caller", ["predict"])
    yard.lock(other)
    look_again(page)
    expect(page.locator("#state")).to_contain_text("not known, or was revoked", timeout=5000)
    page.get_by_role("button", name="Try again").click()
    page.get_by_label("API key", exact=True).fill(other.text)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#state")).to_contain_text("has not the scope metrics")


def test_while_the_endpoint_is_away_the_last_figures_stay(visit: Visit) -> None:
    page = watch(visit)
    page.route("**/traffic", lambda route: route.abort())
    look_again(page)
    expect(page.locator("#state")).to_contain_text("The endpoint does not answer.")
    expect(page.locator("#state")).to_contain_text("What is shown is of ")
    expect(page.get_by_role("table", name=MODEL)).to_be_visible()
