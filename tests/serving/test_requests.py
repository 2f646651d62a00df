"""Ids of requests, options, encodings and what is said of faults: the edges of the interface."""

from __future__ import annotations

import asyncio

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.types import Message, Receive

from serving.app import create_app
from serving.http.problems import KINDS, Refusal, refused_by_model
from serving.requests import reading
from serving.requests.bodies import MOST_FIELDS
from serving.requests.reading import read_body
from tests.serving.fakes import Endpoint

ROW = {"length": 1.5}
BODY = {"rows": [ROW]}


def test_a_request_has_one_id_in_its_answer_in_the_log_and_in_a_refusal(
    endpoint: Endpoint,
) -> None:
    answer = endpoint.client.post("/predict", json=BODY)
    refusal = endpoint.client.post("/predict", json={"rows": []})
    endpoint.log.close()
    assert endpoint.sink.records[0].request == answer.headers["x-request-id"]
    assert refusal.json()["request"] == refusal.headers["x-request-id"]
    assert refusal.json()["request"] != answer.headers["x-request-id"]


@pytest.mark.parametrize(("said", "kept"), [("mine-1", True), ("a b", False), ("x" * 65, False)])
def test_a_caller_may_name_its_request_in_plain_characters(
    endpoint: Endpoint, said: str, kept: bool
) -> None:
    answer = endpoint.client.get("/health", headers={"X-Request-Id": said})
    assert (answer.headers["x-request-id"] == said) is kept


def test_an_unforeseen_fault_is_answered_with_its_id_and_logged_under_it(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint.service, "health", lambda: 1 / 0)
    response = endpoint.client.get("/health", headers={"X-Request-Id": "abc"})
    assert response.status_code == 500
    assert response.json()["type"] == "/docs#failed"
    assert "abc" in response.json()["detail"]
    assert "ZeroDivision" not in response.text
    [record] = [item for item in caplog.records if "abc" in item.getMessage()]
    assert record.exc_info is not None


def test_every_kind_of_problem_stands_in_the_docs(endpoint: Endpoint) -> None:
    page = endpoint.client.get("/docs").text
    for kind in KINDS:
        assert f'id="{kind}"' in page


@pytest.mark.parametrize("said", ["false", "0", "no", "False"])
def test_probabilities_can_be_left_out(endpoint: Endpoint, said: str) -> None:
    answer = endpoint.client.post(f"/predict?probabilities={said}", json=BODY).json()
    assert answer["predictions"][0]["kind"] == {"prediction": "a", "probability": 0.75}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("probabilities=perhaps", "probabilities"),
        ("mask=gif", "mask"),
        ("probabilites=0", "probabilites"),
    ],
)
def test_an_option_that_is_wrong_is_named(endpoint: Endpoint, query: str, field: str) -> None:
    refusal = endpoint.client.post(f"/predict?{query}", json=BODY)
    assert refusal.status_code == 422
    assert refusal.json()["errors"][0]["field"] == field


def test_a_sticky_key_of_any_length_is_not_taken(endpoint: Endpoint) -> None:
    refusal = endpoint.client.post("/predict", json=BODY, headers={"X-Sticky-Key": "k" * 1001})
    assert refusal.json()["errors"][0]["field"] == "X-Sticky-Key"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "multipart/form-data; boundary=x; charset=utf-7"},
    ],
)
def test_compressed_bodies_and_foreign_charsets_are_refused(
    endpoint: Endpoint, headers: dict[str, str]
) -> None:
    refusal = endpoint.client.post("/predict", content=b"{}", headers=headers)
    assert refusal.status_code == 415
    assert ("accept-encoding" in refusal.headers) is ("content-encoding" in headers)


def test_a_form_of_too_many_fields_is_refused(endpoint: Endpoint) -> None:
    body = {f"f{number}": "1" for number in range(MOST_FIELDS + 1)}
    assert endpoint.client.post("/predict", data=body).status_code == 400
    lines = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n1\r\n' for name in body]
    refusal = endpoint.client.post(
        "/predict",
        content="".join([*lines, "--x--\r\n"]),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert refusal.status_code == 400
    assert "Too many fields" in refusal.json()["detail"]


def test_a_query_as_a_body_is_bounded(endpoint: Endpoint) -> None:
    head = {"content-type": "application/x-www-form-urlencoded"}
    refusal = endpoint.client.post("/predict", content=b"&" * 300_000, headers=head)
    assert refusal.status_code == 413


@pytest.mark.parametrize("value", ["a\0b", "x" * 1001, "x" * 9_000_000])
def test_text_that_cannot_be_kept_is_refused_by_field(endpoint: Endpoint, value: str) -> None:
    body = {"rows": [{**ROW, "colour": value}]}
    refusal = endpoint.client.post("/predict", json=body)
    assert refusal.json()["errors"][0]["field"] == "colour"
    assert len(refusal.content) < 1000


def test_a_lone_surrogate_in_a_name_is_refused_and_the_refusal_is_json(
    endpoint: Endpoint,
) -> None:
    body = b'{"rows": [{"\\ud800": 1, "length": NaN}]}'
    assert endpoint.client.post("/predict", content=body).status_code == 400


def test_pages_of_other_origins_may_not_call_unless_allowed(endpoint: Endpoint) -> None:
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    closed = endpoint.client.options("/predict", headers=asks)
    assert "access-control-allow-origin" not in closed.headers
    with TestClient(create_app(endpoint.service, cors_origins=["https://a.example"])) as client:
        allowed = client.options("/predict", headers=asks)
        other = client.options("/predict", headers={**asks, "Origin": "https://b.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-origin" not in other.headers


def test_what_only_the_model_finds_wrong_is_named_by_row_and_field_too() -> None:
    document = refused_by_model("row 1, the image: has 4 channels (save it: as PNG)").document
    assert document.status == 422
    [problem] = document.errors
    assert (problem.row, problem.field) == (2, "the image")
    assert problem.message == "has 4 channels (save it: as PNG)"
    assert refused_by_model("too long").document.detail == "too long"


def body_of(receive: Receive) -> Refusal:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    with pytest.raises(Refusal) as caught:
        asyncio.run(read_body(Request(scope, receive)))
    return caught.value


def test_a_body_that_does_not_arrive_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(reading, "BODY_SECONDS", 0.01)
    assert body_of(never).document.status == 408


def test_a_body_that_breaks_off_is_refused() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    assert body_of(gone).document.status == 400
