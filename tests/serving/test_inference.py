"""The Open Inference Protocol V2, asked by Triton's own client."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from tests.serving.fakes import picture
from tests.serving.live import Live


@pytest.fixture(scope="module")
def triton(live: Live) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(live.address)
    yield client
    client.close()


def tensor(name: str, values: Any, datatype: str, *, binary: bool) -> InferInput:
    array = np.array(values, object if datatype == "BYTES" else None)
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def infer(
    client: InferenceServerClient, model: str, *inputs: InferInput, **how: Any
) -> InferResult:
    return client.infer(model, list(inputs), **how)


def test_the_server_and_its_models_live_and_are_ready(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("flowers")
    assert triton.is_model_ready("flowers", "2")
    assert not triton.is_model_ready("trees")
    assert not triton.is_model_ready("flowers", "9")


def test_metadata_say_which_tensors_a_model_takes_and_gives(
    triton: InferenceServerClient,
) -> None:
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    said = triton.get_model_metadata("flowers")
    assert said["versions"] == ["1", "2"]
    assert said["inputs"][0] == {"name": "length", "datatype": "FP64", "shape": [-1]}
    assert said["inputs"][2]["datatype"] == "BYTES"
    assert {item["name"]: item["shape"] for item in said["outputs"]} == {
        "prediction_id": [-1],
        "kind": [-1],
        "kind_probability": [-1],
        "kind_probabilities": [-1, 1],
    }


@pytest.mark.parametrize("binary", [True, False])
def test_columns_of_a_table_are_tensors(triton: InferenceServerClient, binary: bool) -> None:
    result = infer(
        triton,
        "mixed",
        tensor("size", [1.5, 2.5], "FP64", binary=binary),
        tensor("words", ["a", "ü"], "BYTES", binary=binary),
        tensor("wave", [[0.5, 1.0], [2.0, 3.0]], "FP64", binary=binary),
    )
    assert result.as_numpy("price").tolist() == [2.5, 2.5]
    assert result.as_numpy("sold").tolist() == [b"True", b"True"]
    assert result.as_numpy("sold_probabilities").tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert result.get_output("sold_probabilities")["parameters"]["labels"] == ["False", "True"]
    assert result.as_numpy("spectrum").shape == (2, 2)


def test_what_the_model_gets_is_what_was_sent(live: Live, triton: InferenceServerClient) -> None:
    infer(
        triton,
        "mixed",
        tensor("size", np.array([1, 2], np.float32), "FP32", binary=True),
        tensor("words", ["a", "ü"], "BYTES", binary=True),
        tensor("wave", [[0.5, 1.0], [2.0, 3.0]], "FP64", binary=True),
    )
    _, rows = live.backend.asked[-1]
    assert rows == [
        {"size": 1.0, "words": "a", "wave": "0.5 1.0", "sent": None},
        {"size": 2.0, "words": "ü", "wave": "2.0 3.0", "sent": None},
    ]


def test_an_image_is_an_element_of_bytes(live: Live, triton: InferenceServerClient) -> None:
    result = infer(triton, "digits", tensor("image", [picture()] * 3, "BYTES", binary=True))
    assert result.as_numpy("label").tolist() == [b"1"] * 3
    assert [row["image"] for row in live.backend.asked[-1][1]] == [picture()] * 3


def test_an_image_in_json_is_base64(triton: InferenceServerClient) -> None:
    text = base64.b64encode(picture()).decode()
    outputs = [InferRequestedOutput("label", binary_data=False)]
    result = infer(
        triton, "digits", tensor("image", [text], "BYTES", binary=False), outputs=outputs
    )
    assert result.get_response()["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["1"]}
    ]


def test_a_mask_comes_as_the_bytes_of_a_picture(triton: InferenceServerClient) -> None:
    result = infer(triton, "cells", tensor("image", [picture()], "BYTES", binary=True))
    with Image.open(io.BytesIO(result.as_numpy("mask")[0])) as mask:
        assert mask.size == (4, 3)
    assert result.as_numpy("mask_share").tolist() == [0.25]


def test_only_the_outputs_that_are_wanted_are_answered_each_in_its_form(
    triton: InferenceServerClient,
) -> None:
    outputs = [
        InferRequestedOutput("kind", binary_data=False),
        InferRequestedOutput("kind_probability", binary_data=True),
    ]
    asked = tensor("length", [1.5], "FP64", binary=True)
    result = infer(triton, "flowers", asked, outputs=outputs, request_id="mine")
    response = result.get_response()
    assert response["id"] == "mine"
    assert [item["name"] for item in response["outputs"]] == ["kind", "kind_probability"]
    assert response["outputs"][0]["data"] == ["a"]
    assert result.as_numpy("kind_probability").tolist() == [1.0]


def test_a_version_can_be_named_also_one_without_traffic(triton: InferenceServerClient) -> None:
    asked = tensor("length", [1.5], "FP64", binary=True)
    assert infer(triton, "flowers", asked).get_response()["model_version"] == "1"
    named = infer(triton, "flowers", asked, model_version="2")
    assert named.get_response()["model_version"] == "2"


def test_predictions_have_ids_for_feedback(live: Live, triton: InferenceServerClient) -> None:
    result = infer(triton, "digits", tensor("image", [picture()], "BYTES", binary=True))
    [identity] = result.as_numpy("prediction_id")
    labels = {"labels": [{"id": identity.decode(), "value": "0"}]}
    answer = httpx.post(f"{live.url}/models/digits/feedback", json=labels)
    assert answer.json() == {"model": "digits", "saved": 1, "replaced": 0, "unknown": []}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([("width", [1.0], "FP64")], "row 1, field length: is missing"),
        ([("length", [1.0], "FP64"), ("width", [1.0, 2.0], "FP64")], "has 2 rows"),
        ([("length", ["a"], "BYTES")], "must be a number"),
        ([("length", [[1.0, 2.0]], "FP64")], "2 values a row"),
        ([("lenght", [1.0], "FP64"), ("length", [1.0], "FP64")], "did you mean length?"),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_protocol(
    triton: InferenceServerClient, inputs: list[tuple[str, Any, str]], says: str
) -> None:
    made = [tensor(name, values, kind, binary=True) for name, values, kind in inputs]
    with pytest.raises(InferenceServerException, match=says.replace("?", r"\?")):
        infer(triton, "flowers", *made)


def test_compressed_requests_are_refused(triton: InferenceServerClient) -> None:
    asked = tensor("length", [1.5], "FP64", binary=True)
    with pytest.raises(InferenceServerException, match="compressed"):
        infer(triton, "flowers", asked, request_compression_algorithm="gzip")


def test_not_a_number_is_a_missing_value(live: Live, triton: InferenceServerClient) -> None:
    infer(
        triton,
        "flowers",
        tensor("length", [1.5], "FP64", binary=True),
        tensor("width", [float("nan")], "FP64", binary=True),
    )
    assert live.backend.asked[-1][1][0]["width"] is None


def first(live: Live, **change: Any) -> httpx.Response:
    item = {"name": "length", "shape": [1], "datatype": "FP64", "data": [1.5], **change}
    return httpx.post(f"{live.url}/v2/models/flowers/infer", json={"inputs": [item]})


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1},
        {"shape": []},
        {"shape": [-1]},
        {"shape": [2]},
        {"shape": [2**62, 2**62]},
        {"datatype": "FP128"},
        {"data": None},
        {"data": [[1], 2]},
        {"data": [{}]},
        {"parameters": {"binary_data_size": 8}},
        {"parameters": {"binary_data_size": True}},
    ],
)
def test_a_broken_tensor_is_refused_by_name(live: Live, change: dict[str, Any]) -> None:
    answer = first(live, **change)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert "input" in answer.json()["error"]


@pytest.mark.parametrize("shape", [[1], [1, 1]])
@pytest.mark.parametrize("data", [[1.5], [[1.5]]])
def test_data_may_be_nested_or_flat(live: Live, shape: list[int], data: list[Any]) -> None:
    assert first(live, shape=shape, data=data).status_code == 200


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/models/trees", "/v2/models/trees/infer"])
def test_every_error_under_v2_is_written_as_the_protocol_writes_it(live: Live, path: str) -> None:
    answer = httpx.get(live.url + path)
    assert answer.status_code in {404, 405}
    assert list(answer.json()) == ["error"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("length", ["-1", "9999", "a", "1.5"])
def test_a_wrong_length_of_the_json_is_refused(live: Live, length: str) -> None:
    answer = httpx.post(
        f"{live.url}/v2/models/flowers/infer",
        content=json.dumps({"inputs": []}),
        headers={"Inference-Header-Content-Length": length},
    )
    assert answer.status_code == 400
    assert "Inference-Header-Content-Length" in answer.json()["error"]


def test_probabilities_can_be_left_out(live: Live) -> None:
    item = {"name": "length", "shape": [1], "datatype": "FP64", "data": [1.5]}
    url = f"{live.url}/v2/models/flowers/infer?probabilities=false"
    names = [one["name"] for one in httpx.post(url, json={"inputs": [item]}).json()["outputs"]]
    assert names == ["prediction_id", "kind", "kind_probability"]


def test_a_model_that_does_not_answer_is_not_ready(
    live: Live, triton: InferenceServerClient
) -> None:
    live.backend.down.add("modelyard-digits-v1")
    try:
        assert not triton.is_model_ready("digits")
        assert not triton.is_server_ready()
        assert triton.is_model_ready("flowers")
    finally:
        live.backend.down.clear()
