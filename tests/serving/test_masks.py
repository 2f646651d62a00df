"""An image as an answer: a PNG in base64 for the caller, one number for the log."""

from __future__ import annotations

import base64
import io

import httpx
import pandas as pd
from PIL import Image

from modelyard.features import ModelFeature, ModelSignature
from serving.model.examples import example_row
from serving.model.outputs import outputs_of
from serving.prediction_log.log import PredictionLog
from tests.serving.fakes import DIGITS, Endpoint, MemorySink, picture
from tests.serving.live import Live
from tests.serving.test_log import Entry, entry, slots

CELLS = ModelSignature(
    inputs=DIGITS.inputs,
    outputs=(
        ModelFeature(
            name="mask",
            column="mask",
            type="image",
            required=False,
            categories=("0", "255"),
            height=28,
            width=28,
            channels=1,
        ),
    ),
)
MASK = base64.b64encode(picture((40, 30), shade=255)).decode()


def test_a_mask_and_its_share_stand_beside_each_other() -> None:
    frame = pd.DataFrame({"mask": [MASK], "mask_share": [0.25]})
    assert outputs_of(frame, CELLS) == [{"mask": {"prediction": MASK, "share": 0.25}}]


def test_the_log_keeps_the_share_and_not_the_picture(sink: MemorySink) -> None:
    log = PredictionLog(sink)
    output = {"mask": {"prediction": MASK, "share": 0.25}}
    log.add([Entry(**{**slots(entry(1)), "output": output})])
    log.close()
    assert sink.records[0].outputs == {"mask": 0.25}
    assert sink.records[0].probability == {}


def test_a_picture_that_waits_to_be_logged_counts_with_its_bytes() -> None:
    small = Entry(**{**slots(entry(1)), "output": {"mask": {"prediction": "", "share": 0.0}}})
    large = Entry(**{**slots(entry(1)), "output": {"mask": {"prediction": "x" * 9999}}})
    assert large.size - small.size == 9999


def test_a_mask_is_answered_as_a_picture_over_http(live: Live) -> None:
    files = {"image": ("a.png", picture())}
    answer = httpx.post(f"{live.url}/models/cells/predict", files=files).json()
    mask = answer["predictions"][0]["mask"]
    with Image.open(io.BytesIO(base64.b64decode(mask["prediction"]))) as image:
        assert image.size == (4, 3)
    assert mask["share"] == 0.25


def test_a_mask_is_answered_as_run_lengths_if_asked_for(live: Live) -> None:
    files = {"image": ("a.png", picture())}
    answer = httpx.post(f"{live.url}/models/cells/predict?mask=rle", files=files).json()
    runs = answer["predictions"][0]["mask"]["prediction"]
    assert runs == {"height": 3, "width": 4, "values": [255], "lengths": [12]}


def test_the_document_says_what_a_mask_is(endpoint: Endpoint) -> None:
    schemas = endpoint.client.get("/openapi.json").json()["components"]["schemas"]
    parts = schemas["Prediction"]["additionalProperties"]["properties"]
    assert "PNG in base64" in parts["prediction"]["description"]
    assert "share of its pixels" in parts["share"]["description"]


def test_a_model_of_masks_is_warmed_up_with_a_picture_alone() -> None:
    assert list(example_row(CELLS)) == ["image"]
