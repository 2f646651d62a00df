"""The page at /, in a real browser: ask a model, see the answer, correct it."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from modelyard.api_keys import make_key
from modelyard.features import ModelSignature
from modelyard.store.records import Variant
from serving.model.backend import VariantFault
from tests.serving.pages.conftest import Visit
from tests.serving.pages.yard import PETAL, Yard, feature

type Ask = Callable[[str], Page]
FLOWERS, DIGITS, CELLS, SOUNDS = (
    f"example-{name}" for name in ("flowers", "digits", "cells", "sounds")
)
GIVE = """([zone, event, name, bytes]) => {
    const file = new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, {type: "image/png"});
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(file);
    const options = {bubbles: true, cancelable: true, dataTransfer, clipboardData: dataTransfer};
    zone.dispatchEvent(event === "drop" ? new DragEvent(event, options) : new ClipboardEvent(event, options));
}"""


def give(page: Page, event: str, file: Path) -> None:
    """Drop or paste an image, as a hand would."""
    zone = page.locator(".drop").element_handle()
    page.evaluate(GIVE, [zone, event, file.name, base64.b64encode(file.read_bytes()).decode()])


def tab_to(page: Page, name: str) -> None:
    """Press Tab until a control with this accessible name has the focus."""
    control = page.get_by_label(name, exact=True).or_(
        page.get_by_role("button", name=name, exact=True)
    )
    for _ in range(30):
        page.keyboard.press("Tab")
        if control.first.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not reach {name}")


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict", exact=True).click()


def test_a_form_is_filled_and_sent_by_keyboard_alone(ask: Ask, yard: Yard) -> None:
    page = ask(FLOWERS)
    tab_to(page, "petal length")
    page.keyboard.type("4.5")
    tab_to(page, "colour")
    page.keyboard.type("red")
    tab_to(page, "wild")
    page.keyboard.press("Space")
    tab_to(page, "Predict")
    page.keyboard.press("Enter")
    expect(page.locator(".value")).to_have_text("lily")
    [(app, [row])] = yard.backend.asked
    assert app == "modelyard-example-flowers-v1"
    assert row == {"petal length": 4.5, "petal width": None, "colour": "red", "wild": "True"}


def test_the_answer_says_what_how_sure_by_whom_and_under_which_id(ask: Ask) -> None:
    page = ask(FLOWERS)
    page.get_by_role("button", name="Example values").click()
    predict(page)
    expect(page.locator(".sure")).to_have_text("91.0\u202f%")
    facts = page.locator("#answer .facts")
    expect(facts).to_contain_text("version 1, the champion, which gets 100\u202f% of requests")
    assert len(page.locator(".id").inner_text()) == 32
    expect(page.locator("#spoken")).to_have_text("Answer. kind: lily, 91.0\u202f%.")


def test_probabilities_are_a_table_to_read_and_bars_to_see(ask: Ask) -> None:
    page = ask(FLOWERS)
    page.get_by_role("button", name="Example values").click()
    predict(page)
    table = page.get_by_role("table", name="Probabilities of kind")
    rows = table.get_by_role("row")
    expect(rows).to_have_count(4)
    assert rows.nth(1).inner_text().split() == ["lily", "91.0", "%"]
    assert rows.nth(2).inner_text().split()[1:] == ["4.5", "%"]
    fill, track = (
        page.locator(f".chosen .bar-{part}").evaluate("e => e.getBoundingClientRect().width")
        for part in ("fill", "track")
    )
    assert fill / track == pytest.approx(0.91, abs=0.01)


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_an_image_is_answered_as_soon_as_it_is_given(
    ask: Ask, yard: Yard, image_file: Path, way: str
) -> None:
    page = ask(DIGITS)
    if way == "choose":
        page.get_by_label("image", exact=True).set_input_files(image_file)
    else:
        give(page, way, image_file)
    expect(page.locator(".value")).to_have_text("5")
    named = "input => input.files[0].name"
    assert page.get_by_label("image", exact=True).evaluate(named) == "picture.png"
    expect(page.locator(".drop .hint")).to_contain_text("40 \u00d7 30 pixels")
    [(_, [row])] = yard.backend.asked
    assert row["image"] == image_file.read_bytes()


def test_a_mask_lies_over_its_image_as_strong_as_one_likes(ask: Ask, image_file: Path) -> None:
    page = ask(CELLS)
    give(page, "drop", image_file)
    expect(page.locator(".verdict")).to_contain_text("15.0\u202f%")
    expect(page.locator(".legend")).to_contain_text("class 255: ")
    canvas = page.locator("canvas")
    at = "(c, [x, y]) => [...c.getContext('2d').getImageData(x, y, 1, 1).data]"
    assert canvas.evaluate("c => [c.width, c.height]") == [40, 30]
    assert canvas.evaluate(at, [1, 1])[3] == 0
    assert canvas.evaluate(at, [16, 14]) == [230, 159, 0, 255]
    page.wait_for_function("document.querySelector('.under')?.naturalWidth === 40")
    slider = page.get_by_role("slider", name="Strength of the mask")
    slider.press("ArrowRight")
    assert float(canvas.evaluate("c => getComputedStyle(c).opacity")) == pytest.approx(0.65)
    assert slider.get_attribute("aria-valuetext") == "65 per cent"


def test_a_correction_is_kept_and_confirmed(ask: Ask, yard: Yard) -> None:
    page = ask(FLOWERS)
    page.get_by_role("button", name="Example values").click()
    predict(page)
    page.get_by_label("kind", exact=True).select_option("rose")
    page.get_by_role("button", name="Send as label").click()
    expect(page.locator(".correction .note")).to_have_text(
        "Kept: kind is rose; the answer was wrong."
    )
    [label] = yard.store.labels(FLOWERS, last=1)
    assert (label.output, label.value, label.wrong) == ("kind", "rose", True)
    assert label.prediction == page.locator(".id").inner_text()


def test_a_label_of_a_prediction_that_is_still_being_written_is_sent_again(
    visit: Visit, yard: Yard
) -> None:
    page = visit(f"?model={FLOWERS}", before=lambda made: made.clock.install())
    page.get_by_role("button", name="Example values").click()
    predict(page)
    gone = {"status": 404, "body": '{"detail": "there is no such prediction"}'}
    page.route("**/feedback", lambda route: route.fulfill(**gone), times=1)  # type: ignore[arg-type]
    page.get_by_role("button", name="Send as label").click()
    note = page.locator(".correction .note")
    expect(note).to_contain_text("still being written")
    page.clock.fast_forward(2000)
    expect(note).to_have_text("Kept: kind is lily; the answer was right.")
    assert yard.store.labels(FLOWERS, last=1)[0].value == "lily"


def test_what_is_wrong_stands_at_its_field_until_it_is_mended(ask: Ask) -> None:
    page = ask(FLOWERS)
    field = page.get_by_label("petal length", exact=True)
    field.fill("long")
    predict(page)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    message = "petal length must be a number, and is text 'long'"
    described = field.get_attribute("aria-describedby") or ""
    expect(page.locator(f"#{described.split()[1]}")).to_have_text(message)
    expect(page.get_by_role("alert")).to_contain_text("1 field cannot be sent as it is")
    field.fill("4")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    predict(page)
    expect(page.locator(".value")).to_have_text("lily")


def test_a_form_without_its_image_is_told_so_at_the_image(ask: Ask) -> None:
    page = ask(DIGITS)
    predict(page)
    expect(page.locator(".field-error")).to_have_text("image is missing")


def test_a_version_that_fails_is_named_beside_the_champion(ask: Ask, yard: Yard) -> None:
    yard.serve(
        Variant(model=FLOWERS, version=1, weight=0, role="champion"),
        Variant(model=FLOWERS, version=2, weight=1, role="challenger"),
    )
    yard.backend.faults[f"modelyard-{FLOWERS}-v2"] = VariantFault("failed", "it raised")
    page = ask(FLOWERS)
    page.get_by_role("button", name="Example values").click()
    predict(page)
    expect(page.locator("#answer .facts")).to_contain_text(
        "version 1, the champion, because version 2 was chosen and failed"
    )


def test_a_row_of_a_table_fills_the_form(ask: Ask) -> None:
    page = ask(FLOWERS)
    page.get_by_text("Paste a row of a table").click()
    table = 'wild;colour;petal length;else\nTrue;"red";5.1;0\nFalse;blue;1;0\n'
    page.get_by_label("Row", exact=True).fill(table)
    page.get_by_role("button", name="Fill in the fields").click()
    expect(page.locator("#csv-note")).to_have_text(
        "3 fields filled in. 1 further row left aside. Not among the inputs: else."
    )
    expect(page.get_by_label("petal length", exact=True)).to_have_value("5.1")
    expect(page.get_by_label("colour", exact=True)).to_have_value("red")
    expect(page.get_by_role("switch", name="wild")).to_be_checked()


def test_a_series_is_drawn_and_sent_as_numbers(ask: Ask, yard: Yard) -> None:
    page = ask(SOUNDS)
    page.get_by_label("channel", exact=True).fill("0.5, 1.5;-2")
    drawing = page.get_by_role("img", name="channel: 3 values between -2 and 1.5")
    expect(drawing).to_be_visible()
    predict(page)
    expect(page.locator(".value")).to_have_text("152.133")
    assert yard.backend.asked[0][1][0]["channel"] == "0.5 1.5 -2"


def test_the_key_is_asked_for_kept_in_this_tab_only_and_forgotten(visit: Visit, yard: Yard) -> None:
    key = make_key("someone", ["predict", "feedback"])
    yard.lock(key)
    page = visit(f"?model={FLOWERS}")
    field = page.get_by_label("API key", exact=True)
    expect(field).to_be_focused()
    field.fill("mdy_0_wrong")
    field.press("Enter")
    expect(page.locator("#key-error")).to_contain_text("not known, or was revoked")
    field.fill(key.text)
    field.press("Enter")
    page.get_by_role("button", name="Example values").click()
    predict(page)
    expect(page.locator(".value")).to_have_text("lily")
    assert page.evaluate("Object.values(sessionStorage)") == [key.text]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert key.text not in page.content()
    expect(page.locator("#snippets")).to_contain_text('"Authorization: Bearer $MODELYARD_KEY"')
    page.get_by_role("button", name="Forget the key").click()
    expect(field).to_be_focused()
    field.press("Escape")
    expect(page.get_by_text("an API key is needed")).to_be_visible()


def test_without_a_model_the_page_says_how_to_get_one(visit: Visit, yard: Yard) -> None:
    yard.clear()
    page = visit()
    expect(page.get_by_role("status").filter(has_text="No model is deployed yet.")).to_be_visible()
    expect(page.get_by_text("modelyard run digits-cnn")).to_be_visible()


def test_an_endpoint_that_is_away_is_asked_again_until_it_is_back(visit: Visit) -> None:
    away = [True]

    def answer(route: Route) -> None:
        route.abort() if away[0] else route.continue_()

    def prepare(page: Page) -> None:
        page.route("**/model-info", answer)
        page.clock.install()

    page = visit(before=prepare)
    note = page.get_by_text("The endpoint does not answer. Trying again every 3 seconds.")
    expect(note).to_be_visible()
    away[0] = False
    page.clock.fast_forward(3000)
    expect(page.get_by_label("Model", exact=True)).to_be_visible()
    expect(note).to_be_hidden()


def test_names_cannot_bring_html_into_the_page(ask: Ask, yard: Yard) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    yard.backend.signatures[hostile] = ModelSignature(
        inputs=(PETAL.model_copy(update={"column": hostile}),),
        outputs=(feature(hostile, "category", categories=(hostile, "b")),),
    )
    yard.serve(Variant(model=hostile, version=1, weight=1, role="champion"))
    page = ask("%3Cimg src=x onerror=alert(1)%3E")
    page.get_by_label(hostile, exact=True).fill("1")
    predict(page)
    expect(page.get_by_role("table")).to_contain_text(hostile)
    assert page.locator("main img[src=x]").count() == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_programs_on_the_page_run(ask: Ask) -> None:
    page = ask(FLOWERS)
    curl, python = page.locator("#snippets code").all_inner_texts()
    said = StringIO()
    with redirect_stdout(said):
        exec(compile(python, "snippet", "exec"), {})  # noqa: S102 - it is what readers copy
    assert "'prediction': 'lily'" in said.getvalue()
    if shutil.which("curl"):
        command = ["bash", "-c", curl.replace("curl ", "curl -sS ", 1)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        assert '"prediction":"lily"' in answer.stdout
