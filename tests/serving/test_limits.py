"""What is too large is refused in time, and every answer tells browsers what they may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.http.answers import problem_response
from serving.http.limits import MOST_HEADER_BYTES, MOST_HEADERS, MOST_URL_BYTES, Limits
from serving.http.problems import Refusal


async def size(request: Request) -> Response:
    try:
        return JSONResponse(len(await request.body()))
    except Refusal as refusal:
        return problem_response(refusal)


async def page(_request: Request) -> Response:
    return HTMLResponse("<p>hello", headers={"Cache-Control": "max-age=60"})


@pytest.fixture
def app() -> Starlette:
    app = Starlette(routes=[Route("/size", size, methods=["POST"]), Route("/page", page)])
    app.add_middleware(Limits, most_bytes=1000)
    return app


@pytest.fixture
def client(app: Starlette) -> TestClient:
    return TestClient(app)


def test_a_body_within_the_limit_passes(client: TestClient) -> None:
    assert client.post("/size", content=b"x" * 1000).json() == 1000


def test_a_body_that_says_that_it_is_too_large_is_refused_unread(client: TestClient) -> None:
    answer = client.post("/size", content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["99999999999999999999999999", "1001"])
def test_a_length_is_believed_where_it_is_too_large(client: TestClient, length: str) -> None:
    answer = client.post("/size", content=b"", headers={"Content-Length": length})
    assert answer.status_code == 413


def test_a_body_without_a_length_is_counted(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    assert client.post("/size", content=chunks()).status_code == 413


def test_headers_that_are_too_large_are_refused(client: TestClient) -> None:
    answer = client.get("/page", headers={"X-Long": "x" * MOST_HEADER_BYTES})
    assert answer.status_code == 431


def test_too_many_headers_are_refused(client: TestClient) -> None:
    answer = client.get("/page", headers={f"X-{number}": "1" for number in range(MOST_HEADERS)})
    assert answer.status_code == 431


def test_a_long_address_is_refused(client: TestClient) -> None:
    assert client.get(f"/page?{'x' * MOST_URL_BYTES}").status_code == 414


def test_a_page_may_run_only_files_of_its_own(client: TestClient) -> None:
    policy = client.get("/page").headers["content-security-policy"]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy


def test_data_may_run_nothing(client: TestClient) -> None:
    headers = client.post("/size", content=b"").headers
    assert "script-src" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/page", "/nothing"])
def test_every_answer_says_what_browsers_may(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_what_the_application_says_itself_stands(client: TestClient) -> None:
    assert client.get("/page").headers.get_list("cache-control") == ["max-age=60"]


def test_https_is_asked_for_again_only_where_it_is_spoken(app: Starlette) -> None:
    plain = TestClient(app, base_url="http://models.example.org").get("/page")
    secure = TestClient(app, base_url="https://models.example.org").get("/page")
    assert "strict-transport-security" not in plain.headers
    assert secure.headers["strict-transport-security"] == "max-age=31536000"
