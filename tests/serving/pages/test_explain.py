"""The page of one answer: its chain, its links, and who asks for none."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Page, expect

from modelyard.api_keys import make_key
from modelyard.store.monitoring_records import AlertRecord
from modelyard.store.records import Label, PredictionRecord, now
from tests.serving.pages.conftest import Visit
from tests.serving.pages.yard import Yard

HOSTILE = "<img src=x onerror=alert(1)>"
MODEL = "example-flowers"


def log(yard: Yard, identity: str) -> PredictionRecord:
    """Log a prediction that holds what no page may run."""
    fields = {"id": identity, "at": now(), "model": MODEL, "version": 1, "request": "r1"}
    seen = {"inputs": {"petal length": 4.7, "colour": HOSTILE}, "outputs": {"kind": "lily"}}
    more = {"probability": {"kind": 0.91}, "latency_ms": 1.5, "phase": yard.store.phases()[MODEL]}
    record = PredictionRecord.model_validate({**fields, **seen, **more})
    yard.store.log_predictions([record])
    return record


def panel(page: Page, title: str) -> str:
    found = page.locator("#chain > li", has=page.get_by_role("heading", name=title, exact=True))
    return found.inner_text()


def test_the_chain_leads_from_the_answer_to_data_and_code(visit: Visit, yard: Yard) -> None:
    page = visit("predictions/p1")
    expect(page.locator("#state")).to_contain_text("there is no prediction 'p1'")
    log(yard, "p1")
    yard.store.save_labels(MODEL, [Label(prediction="p1", output="kind", value="rose")])
    page.get_by_role("button", name="Explain").click()
    page.locator("#chain > li").first.wait_for()
    assert "lily, 91.0" in panel(page, "Answer")
    assert "rose, the answer was wrong" in panel(page, "Answer")
    assert HOSTILE in panel(page, "Request")
    assert "champion" in panel(page, f"{MODEL} version 1")
    assert "work tree" in panel(page, "Spec, data and code")
    link = page.get_by_role("link", name="5f" * 16)
    expect(link).to_have_attribute(
        "href", f"http://127.0.0.1:5000/#/experiments/1/runs/{'5f' * 16}"
    )
    expect(page).to_have_title("Prediction p1 · Modelyard")


def test_alerts_that_held_then_are_told_first(visit: Visit, yard: Yard) -> None:
    at = log(yard, "p2").at
    alert = AlertRecord(
        model=MODEL,
        version=1,
        kind="drift",
        subject="petal",
        value=1,
        level="critical",
        worst="critical",
        peak=1,
        windows=(),
        reason="far.",
        onset=at - timedelta(hours=1),
    )
    yard.store.change_alerts(MODEL, lambda _open: ([alert], []))
    page = visit("predictions/p2")
    expect(page.locator("#state")).to_contain_text("1 alert held")
    assert "petal: far. Since" in panel(page, "Alerts at that time")


def test_the_page_of_an_answer_leads_to_its_chain(visit: Visit) -> None:
    page = visit(f"?model={MODEL}")
    page.get_by_role("button", name="Example values").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    link = page.locator("#answer .facts a")
    address = link.get_attribute("href")
    assert address is not None
    assert address.startswith("predictions/")


def test_an_endpoint_with_keys_asks_for_one(visit: Visit, yard: Yard) -> None:
    key = make_key("boss", ["admin"])
    yard.lock(key)
    page = visit("predictions/none")
    page.get_by_role("textbox", name="API key").fill(key.text)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#state")).to_contain_text("there is no prediction")


def test_without_an_id_the_page_asks_for_one(visit: Visit) -> None:
    page = visit("predictions")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#state")).to_have_text("Give the id of a prediction.")
    assert page.url.endswith("/predictions")
